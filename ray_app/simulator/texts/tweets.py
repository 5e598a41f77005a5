"""What people write on X. The k-th post is written in the k-th span of thirty seconds since 1970.

An id is a snowflake: the milliseconds since November 2010, shifted by 22. An edit is a post with an id
of its own, made within half an hour; its low bits say how many spans back the first version lies.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ray_app.simulator.texts.draw import Draw
from ray_app.simulator.texts.stories import Market
from ray_app.simulator.texts.words import HANDLES, TWEETS

SPAN_MS = 30_000
SNOWFLAKE_EPOCH_MS = 1_288_834_974_657
EDITED, DELETED, LONG, LINKED, REPLY, QUOTE = 0.03, 0.05, 0.05, 0.25, 0.15, 0.08
LANGUAGES = ("en",) * 8 + ("es", "ja")
LAST_EDIT_MS = 1_800_000
LONG_TEXT = 280  # characters that `text` shows


@dataclass(frozen=True, slots=True)
class Author:
    id: str
    username: str
    name: str
    followers: int


@dataclass(frozen=True, slots=True)
class Tweet:
    """All versions of one post. `versions` are (milliseconds, id, full text), the first is the original."""

    span: int
    versions: tuple[tuple[int, str, str], ...]
    deleted_ms: int | None
    author: Author
    lang: str
    tone: int
    about: str
    symbol: str
    link: str | None
    replies_to: str | None
    quotes: str | None
    likes: int

    @property
    def at_ms(self) -> int:
        return self.versions[0][0]

    def standing(self, now_ms: int) -> int | None:
        """Which version is shown; None before it was written and after it was deleted."""
        if now_ms < self.at_ms or (self.deleted_ms is not None and self.deleted_ms <= now_ms):
            return None
        return max(i for i, (made, _, _) in enumerate(self.versions) if made <= now_ms)


def snowflake(at_ms: int, low: int = 0) -> str:
    return str(((at_ms - SNOWFLAKE_EPOCH_MS) << 22) | low)


class Tweets:
    def __init__(self, seed: int, market: Market) -> None:
        self._seed, self._market = seed, market
        self.tweet = lru_cache(65_536)(self._written)

    def newest(self, start_ms: int, end_ms: int) -> Iterator[Tweet]:
        """Posts first written in [start, end), newest first, deleted ones too."""
        for span in range((end_ms - 1) // SPAN_MS, start_ms // SPAN_MS - 1, -1):
            tweet = self.tweet(span)
            if start_ms <= tweet.at_ms < end_ms:
                yield tweet

    def find(self, id_: str) -> tuple[Tweet, int] | None:
        """The post with this id and which of its versions it is; None: there never was one."""
        number = int(id_)
        at_ms = (number >> 22) + SNOWFLAKE_EPOCH_MS
        tweet = self.tweet(at_ms // SPAN_MS - (number & 0x3FFFFF))
        for version, (_, known, _) in enumerate(tweet.versions):
            if known == id_:
                return tweet, version
        return None

    def _moment(self, span: int) -> int:
        return span * SPAN_MS + Draw(self._seed, "tweet", span).whole("moment", 0, SPAN_MS - 1)

    def _written(self, span: int) -> Tweet:
        draw = Draw(self._seed, "tweet", span)
        at_ms = self._moment(span)
        coin = self._market.coin(draw)
        words = self._market.words(coin, at_ms // 1000, draw)
        tone = draw.pick("tone", (-1, 0, 1))
        text = draw.pick("text", TWEETS[tone]).format_map(words)
        if draw.chance("long", LONG):
            more = (
                f"\n\nA few words on {words['name']} before somebody asks, as I have been around for a while."
            )
            text = f"{text}{more * 4}"
        link = f"https://t.co/{draw.token('link') % 10**10:010d}" if draw.chance("linked", LINKED) else None
        if link:
            text = f"{text} {link}"
        versions = [(at_ms, snowflake(at_ms), text)]
        if draw.chance("edited", EDITED):
            for edit in range(1, draw.whole("edits", 1, 3) + 1):
                made = versions[-1][0] + draw.whole(f"edit {edit}", 30_000, 600_000)
                versions.append((made, snowflake(made, made // SPAN_MS - span), f"{text} (edit {edit})"))
        handle, number = draw.pick("author", HANDLES), draw.whole("number", 1, 300)
        name = f"{handle}{number}"
        refers = draw.share("refers")
        other = snowflake(self._moment(span - draw.whole("other", 2, 2_800)))
        return Tweet(
            span=span,
            versions=tuple(versions),
            deleted_ms=at_ms + draw.whole("deleted", 600_000, 40 * 3_600_000)
            if draw.chance("gone", DELETED)
            else None,
            author=Author(
                str(10**9 + HANDLES.index(handle) * 1000 + number), name, name.title(), number * 37
            ),
            lang=draw.pick("lang", LANGUAGES),
            tone=tone,
            about=self._market.coins[coin].id,
            symbol=words["symbol"],
            link=link,
            replies_to=other if refers < REPLY else None,
            quotes=other if REPLY <= refers < REPLY + QUOTE else None,
            likes=int(20_000 * draw.share("likes") ** 12),
        )
