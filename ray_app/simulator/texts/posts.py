"""What people write on Reddit: posts and comments, later edited, deleted by their author or removed.

The k-th post of a subreddit is written within the k-th of its spans since 1970; a post's id tells the
subreddit and the span, so that any id can be looked up without walking through history.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypedDict

from ray_app.simulator.texts.draw import Draw, base36
from ray_app.simulator.texts.stories import Market, stock_words
from ray_app.simulator.texts.words import HANDLES, POSTS, REPLIES, STOCKS

ID_EPOCH, ROOM = 1_500_000_000, 64  # an id is (seconds since the epoch) * 64 + the subreddit's index
MOST_COMMENTS = 15
State = Literal["account", "user", "moderator", "missing"]
# What becomes of a post or comment within its first day and a half, and how often.
ENDS: Mapping[State, float] = {"account": 0.03, "user": 0.04, "moderator": 0.06, "missing": 0.01}
EDITED, LINKS, CROSSPOSTS = 0.06, 0.2, 0.03
FIRST_END, LAST_END = 1800, 36 * 3600


@dataclass(frozen=True, slots=True)
class Subreddit:
    name: str
    id: str
    seconds: int  # one post in each span of so many; 0: nobody writes here
    about: str | None = None  # the coin's id, where all speak of one
    stocks: bool = False  # they speak of shares


SUBREDDITS = (
    Subreddit("CryptoCurrency", "2wlj3", 180),
    Subreddit("Bitcoin", "2s3qj", 240, "bitcoin"),
    Subreddit("ethereum", "2zf9m", 1800, "ethereum"),
    Subreddit("CryptoMarkets", "2zjl4", 900),
    Subreddit("ethtrader", "37jgj", 900, "ethereum"),
    Subreddit("BitcoinMarkets", "2ya42", 1800, "bitcoin"),
    Subreddit("dogecoin", "2zcp2", 600, "dogecoin"),
    Subreddit("solana", "hcs2n", 900, "solana"),
    Subreddit("cardano", "3kb0w", 1800, "cardano"),
    Subreddit("Ripple", "2xt4g", 1800, "ripple"),
    Subreddit("altcoin", "2xebg", 3600),
    Subreddit("wallstreetbets", "2th52", 120, stocks=True),
    Subreddit("stocks", "2qjfk", 300, stocks=True),
    Subreddit("StockMarket", "2r7dn", 600, stocks=True),
    Subreddit("investing", "2qhhq", 600, stocks=True),
    Subreddit("options", "2r8rv", 900, stocks=True),
    Subreddit("finance", "2qhfj", 1800, stocks=True),
    Subreddit("Economics", "2qh1s", 900, stocks=True),
    Subreddit("SimEmpty", "sim0e", 0),
)
BY_NAME = {sub.name.lower(): i for i, sub in enumerate(SUBREDDITS)}


@dataclass(frozen=True, slots=True)
class Written:
    """What posts and comments have in common. Times in seconds since 1970; None: it never comes to that."""

    id: str
    sub: Subreddit
    at: int
    author: str
    author_id: str
    text: str
    tone: int
    about: str
    edited: int | None
    edited_text: str
    ends: State | None
    ended: int | None
    likes: int  # that it has at last
    ratio: float

    def state(self, now: int) -> State | None:
        return self.ends if self.ended is not None and self.ended <= now else None

    def text_at(self, now: int) -> str:
        return self.edited_text if self.edited is not None and self.edited <= now else self.text

    def score(self, now: int) -> int:
        """Half of the votes come within six hours."""
        age = max(0, now - self.at)
        return 1 + round((self.likes - 1) * age / (age + 21_600))


@dataclass(frozen=True, slots=True)
class Post(Written):
    title: str
    link: str | None  # a post that only points elsewhere
    crosspost_of: str | None
    flair: str | None
    comments: int
    span: int


@dataclass(frozen=True, slots=True)
class Comment(Written):
    post: Post
    parent: str  # full name
    depth: int


class Common(TypedDict):
    """The fields of Written that hang on no words."""

    sub: Subreddit
    at: int
    author: str
    author_id: str
    edited: int | None
    ends: State | None
    ended: int | None
    likes: int
    ratio: float


class Posts:
    def __init__(self, seed: int, market: Market) -> None:
        self._seed, self._market = seed, market
        self._post = lru_cache(32_768)(self._written)

    def post(self, sub: int, span: int) -> Post:
        return self._post(sub, span)

    def newest(self, sub: int, now: int) -> Iterator[Post]:
        """Every post of a subreddit up to `now`, also those that are gone, newest first."""
        seconds = SUBREDDITS[sub].seconds
        if not seconds:
            return
        span = now // seconds
        while span > ID_EPOCH // seconds:
            post = self._post(sub, span)
            if post.at <= now:
                yield post
            span -= 1

    def between(self, sub: int, start: int, end: int) -> list[Post]:
        """Posts written in [start, end), oldest first."""
        seconds = SUBREDDITS[sub].seconds
        if not seconds:
            return []
        spans = range(start // seconds, -(-end // seconds))
        return [post for span in spans if start <= (post := self._post(sub, span)).at < end]

    def find(self, id_: str) -> Post | None:
        """The post with this id (base 36, without `t3_`); None: there is none."""
        try:
            seconds, sub = divmod(int(id_, 36), ROOM)
        except ValueError:
            return None
        seconds += ID_EPOCH
        if sub >= len(SUBREDDITS) or not SUBREDDITS[sub].seconds or seconds % SUBREDDITS[sub].seconds:
            return None
        return self._post(sub, seconds // SUBREDDITS[sub].seconds)

    def find_comment(self, id_: str) -> Comment | None:
        """The comment with this id (without `t1_`)."""
        try:
            post_number, place = divmod(int(id_, 36), MOST_COMMENTS + 1)
        except ValueError:
            return None
        post = self.find(base36(post_number))
        if post is None or not 0 < place <= post.comments:
            return None
        return self.comment(post, place)

    def comments(self, post: Post, now: int) -> list[Comment]:
        """The comments under a post up to `now`, oldest first."""
        made = (self.comment(post, place) for place in range(1, post.comments + 1))
        return [comment for comment in made if comment.at <= now]

    def comment(self, post: Post, place: int) -> Comment:
        """The place-th, from 1. It answers the post or the comment before it."""
        draw = Draw(self._seed, "comment", post.id, place)
        _, words = self._subject(post.sub, post.at, draw, post.about)
        tone = draw.pick("tone", (post.tone, 0, -post.tone or 0))
        depth = 0 if place == 1 or draw.chance("top", 0.5) else 1
        above = f"t1_{base36(int(post.id, 36) * (MOST_COMMENTS + 1) + place - 1)}"
        common = self._common(draw, post.sub, post.at + place * 600 + draw.whole("second", 0, 599))
        text = draw.pick("text", REPLIES[tone]).format_map(words)
        return Comment(
            id=base36(int(post.id, 36) * (MOST_COMMENTS + 1) + place),
            text=text,
            edited_text=f"{text}\n\nEdit: typo",
            tone=tone,
            about=post.about,
            post=post,
            parent=f"t3_{post.id}" if depth == 0 else above,
            depth=depth,
            **common,
        )

    def _subject(self, sub: Subreddit, at: int, draw: Draw, about: str | None) -> tuple[str, dict[str, str]]:
        """The coin's id or the ticker, and the words for it."""
        if sub.stocks:
            ticker = about or draw.pick("ticker", tuple(STOCKS))
            return ticker, stock_words(ticker, draw)
        coin = self._market.index.get(about or sub.about or "", self._market.coin(draw))
        return self._market.coins[coin].id, self._market.words(coin, at, draw)

    def _written(self, sub: int, span: int) -> Post:
        place = SUBREDDITS[sub]
        draw = Draw(self._seed, "post", place.name, span)
        at = span * place.seconds + draw.whole("second", 0, place.seconds - 1)
        about, words = self._subject(place, at, draw, None)
        tone = draw.pick("tone", (-1, 0, 1))
        title, text = (part.format_map(words) for part in draw.pick("text", POSTS[tone]))
        link = draw.chance("link", LINKS)
        earlier = None
        if draw.chance("crosspost", CROSSPOSTS) and sub != 1:
            other = self._post(1, at // SUBREDDITS[1].seconds - draw.whole("back", 2, 40))
            earlier = other.id if other.crosspost_of is None else None
        return Post(
            id=base36((span * place.seconds - ID_EPOCH) * ROOM + sub),
            text="" if link or earlier else text,
            edited_text="" if link or earlier else f"{text}\n\nEDIT: thanks for all the answers",
            tone=tone,
            about=about,
            title=title,
            link=f"https://example.com/{words['tag']}/{draw.token('link') % 10**9}" if link else None,
            crosspost_of=earlier,
            flair=draw.pick("flair", (None, None, "DISCUSSION", "ANALYSIS", "GENERAL-NEWS")),
            comments=draw.whole("comments", 0, MOST_COMMENTS),
            span=span,
            **self._common(draw, place, at),
        )

    def _common(self, draw: Draw, sub: Subreddit, at: int) -> Common:
        ends: State | None = None
        end: int | None = None
        drawn = draw.share("ends")
        for state, share in ENDS.items():
            if 0 <= drawn < share:
                ends, end = state, at + draw.whole("ended", FIRST_END, LAST_END)
            drawn -= share
        handle = draw.whole("number", 1, 400)
        name = draw.pick("author", HANDLES)
        return {
            "sub": sub,
            "at": at,
            "author": f"{name}{handle}",
            "author_id": base36(10**9 + HANDLES.index(name) * 1000 + handle),
            "edited": at + draw.whole("edit", 300, 12 * 3600) if draw.chance("edited", EDITED) else None,
            "ends": ends,
            "ended": end,
            "likes": 1 + int(4000 * draw.share("likes") ** 8),
            "ratio": round(0.55 + 0.44 * draw.share("ratio"), 2),
        }
