"""What the outlets publish: some of the stories, each a while after it happened and in its own words.

An article can be told anew (another title, at times another date), and it can be taken down.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ray_app.simulator.texts.draw import Draw, base36, uuid
from ray_app.simulator.texts.stories import STORY_SECONDS, Stories, Topic, lead, paragraphs
from ray_app.simulator.texts.words import WRITERS

FARTHEST = 240 * 14  # stories that a feed looks back over
LATEST = 7200  # seconds after which no outlet takes a story up any more
SLOWEST_EDIT = 6 * 3600
LABELS = {"crypto": ("Markets", "Business", "Policy", "Tech"), "markets": ("Finance", "Earnings", "Economy")}
UPDATED, REDATED, TAKEN_DOWN, SPONSORED, SYNDICATED = 0.12, 0.4, 0.01, 0.03, 0.25


@dataclass(frozen=True, slots=True)
class Outlet:
    """Who publishes; the shares are of the stories of a topic. `kinds`: no others; empty: all."""

    name: str
    crypto: float
    markets: float
    kinds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Article:
    """All that will ever be known of it; `as_of` says what was known when. Seconds since 1970."""

    outlet: str
    story: int
    topic: Topic
    tone: int
    about: str
    published: int
    first_title: str
    later_title: str
    updated: int | None  # None: never told anew
    redated: bool  # the update moved its date of publication
    taken_down: int | None
    summary: str
    paragraphs: tuple[str, ...]
    authors: tuple[str, ...]
    categories: tuple[str, ...]
    guid: str
    number: int
    sponsored: bool
    syndicated: bool

    @property
    def slug(self) -> str:
        words = "".join(c if c.isalnum() else " " for c in self.first_title.lower().replace("'", ""))
        return "-".join((*words.split(), base36(self.story % 36**3)))

    def as_of(self, now: int) -> "Told":
        edited = self.updated is not None and self.updated <= now
        date = self.updated if edited and self.redated and self.updated is not None else self.published
        changed = self.updated if edited and self.updated is not None else self.published
        return Told(self, self.later_title if edited else self.first_title, date, changed)

    def is_up(self, now: int) -> bool:
        return self.published <= now and (self.taken_down is None or now < self.taken_down)


@dataclass(frozen=True, slots=True)
class Told:
    """An article as it stands at a moment: its title, its stated date, when it last changed."""

    article: Article
    title: str
    date: int
    changed: int


class Articles:
    def __init__(self, seed: int, stories: Stories) -> None:
        self._seed, self._stories = seed, stories
        self._cached = lru_cache(16_384)(self._written)

    def written(self, outlet: Outlet, story: int) -> Article | None:
        """The outlet's article about that story; None where it left the story to others."""
        return self._cached(outlet, story)

    def between(self, outlet: Outlet, start: int, end: int) -> list[Article]:
        """Articles first published in [start, end), oldest first."""
        found = (
            article
            for number in self._stories.numbers(start - LATEST, end)
            if (article := self._cached(outlet, number)) is not None and start <= article.published < end
        )
        return sorted(found, key=lambda article: (article.published, article.story))

    def newest(self, outlet: Outlet, now: int, count: int, about: str | None = None) -> list[Told]:
        """The `count` newest that stand at `now` by their stated date, newest first; `about` a coin or ticker."""
        found: list[Told] = []
        for article in self._backwards(outlet, now):
            settled = article.story * STORY_SECONDS + LATEST + SLOWEST_EDIT
            if (
                len(found) >= count
                and settled < sorted((told.date for told in found), reverse=True)[count - 1]
            ):
                break
            if article.is_up(now) and about in (None, article.about, article.about.lower()):
                found.append(article.as_of(now))
        return sorted(found, key=lambda told: (-told.date, told.article.story))[:count]

    def _backwards(self, outlet: Outlet, now: int) -> Iterator[Article]:
        for number in range(now // STORY_SECONDS, now // STORY_SECONDS - FARTHEST, -1):
            article = self._cached(outlet, number)
            if article is not None:
                yield article

    def _written(self, outlet: Outlet, number: int) -> Article | None:
        draw = Draw(self._seed, "article", outlet.name, number)
        story = self._stories.story(number)
        if not draw.chance("taken up", outlet.crypto if story.topic == "crypto" else outlet.markets):
            return None
        if outlet.kinds and story.kind not in outlet.kinds:
            return None
        published = story.at + draw.whole("lag", 60, LATEST // 2)
        wording = draw.whole("wording", 0, 11)
        updated = None
        if draw.chance("updated", UPDATED):
            updated = published + draw.whole("update", 1200, SLOWEST_EDIT)
        taken_down = None
        if draw.chance("taken down", TAKEN_DOWN):
            taken_down = published + draw.whole("down", 3600, 72 * 3600)
        return Article(
            outlet=outlet.name,
            story=number,
            topic=story.topic,
            tone=story.tone,
            about=story.about,
            published=published,
            first_title=story.title(wording),
            later_title=story.title(wording + 1) + " (updated)",
            updated=updated,
            redated=draw.chance("redated", REDATED),
            taken_down=taken_down,
            summary=lead(story, draw),
            paragraphs=paragraphs(story, draw),
            authors=tuple(
                dict.fromkeys(draw.pick(f"by {i}", WRITERS) for i in range(draw.whole("by", 1, 2)))
            ),
            categories=tuple(
                dict.fromkeys(
                    draw.pick(f"label {i}", LABELS[story.topic]) for i in range(draw.whole("labels", 1, 3))
                )
            ),
            guid=uuid(draw.token("guid"), draw.token("more of it")),
            number=draw.token("number") % 900_000 + 100_000,
            sponsored=draw.chance("sponsored", SPONSORED),
            syndicated=draw.chance("syndicated", SYNDICATED),
        )
