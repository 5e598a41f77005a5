"""Facts with a key of their own: texts by their id, observations by period and vintage."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, insert, inspect, text

from ray_app.model.collected import Collected
from ray_app.model.records import Bar, Record
from ray_app.model.series import Metric, Observation
from ray_app.model.source import Page, Slice
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.store.engine import MIGRATIONS
from ray_app.store.reading import Fact, Point, parse_id
from ray_app.store.store import Store
from ray_app.store.tables import FACTS, pages, series
from ray_app.store.tables import node as nodes
from tests.store.conftest import Open
from tests.store.made import ALWAYS, DAY, HOUR, MINUTE, T0

FEED, SERIES, METRIC = "crypto/decrypt", "GDP", "hash-rate"
STREAMS: dict[type[Record], str] = {
    Article: "rss.articles",
    Post: "reddit.posts",
    Observation: "fred.vintages",
    Metric: "mempool.rates",
}
Q1, Q2 = datetime(2025, 10, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
numbers = itertools.count()


def had(records: Sequence[Record], at: datetime, *, topic: str | None = None) -> Collected:
    """One answer with these records, received at `at`."""
    source, _, stream = STREAMS[type(records[0])].partition(".")
    body = f"{next(numbers)}".encode()
    page = Page(
        source=source, stream=stream, path="/x", params={}, status=200, headers={}, body=body,
        asked_at=at, received_at=at,
    )  # fmt: skip
    partitions = tuple(sorted({record.partition for record in records}))
    return Collected(
        source=source, stream=stream, parser="1", slice=Slice(partitions, TimeRange(at - HOUR, at)),
        outcome="covered", received_at=at, pages=(page,), records=tuple((r, 0) for r in records), topic=topic,
    )  # fmt: skip


def article(item: str = "guid-1", at: datetime = T0, **more: Any) -> Article:
    return Article(feed=FEED, item=item, at=at, **({"title": "Up"} | more))


def vintage(day: int, value: str | None, period: datetime = Q1) -> Observation:
    number = Decimal(value) if value is not None else None
    return Observation(series=SERIES, period=period, vintage=T0 + day * DAY, value=number)


def number(day: int, correction: int = 0) -> int:
    """The revision that the vintage of a day has."""
    return int(f"{T0 + day * DAY:%Y%m%d}") * 100 + correction


async def texts(node: Open, at: Point | None = None, over: TimeRange = ALWAYS) -> list[Fact]:
    return await node.store.reading.between(Article, STREAMS[Article], [FEED], over, at or Point())


async def observed(node: Open, at: Point | None = None) -> dict[datetime, tuple[int, Decimal | None]]:
    """Period to the revision and the value that hold."""
    found = await node.store.reading.between(
        Observation, STREAMS[Observation], [SERIES], ALWAYS, at or Point()
    )
    out = {}
    for fact in found:
        assert isinstance(fact.key, datetime)
        out[fact.key] = fact.revision, fact.values["value"]
    return out


async def test_an_article_seen_twice_the_same_adds_nothing(node: Open):
    first = await node.commit(had([article()], T0 + HOUR))
    # A feed without dates: `at` is each poll's own time.
    again = await node.commit(had([article(at=T0 + HOUR)], T0 + 2 * HOUR))
    assert (first.new, first.revised, first.unchanged) == (1, 0, 0)
    assert (again.new, again.revised, again.unchanged) == (0, 0, 1)
    (fact,) = await texts(node)
    assert (fact.key, fact.cursor, fact.revision, fact.received_at) == ("guid-1", T0, 0, T0 + HOUR)


async def test_another_title_is_a_revision_that_was_known_when_we_had_it(node: Open):
    await node.commit(had([article(published=T0)], T0 + HOUR))
    changed = article(at=T0 + 5 * HOUR, published=T0 + 5 * HOUR, title="Down")
    done = await node.commit(had([changed], T0 + 6 * HOUR))
    assert (done.new, done.revised, done.unchanged) == (0, 1, 0)
    (fact,) = await texts(node)
    assert (fact.revision, fact.cursor) == (1, T0)  # where it was found first, although `at` moved
    assert (fact.known_at, fact.received_at) == (T0 + 6 * HOUR, T0 + 6 * HOUR)
    assert fact.values == {
        "title": "Down", "published": T0 + 5 * HOUR, "updated": None, "summary": None, "body": None, "url": None,
        "author": None, "language": None, "topics": None,
    }  # fmt: skip
    (then,) = await texts(node, Point(known_by=T0 + 5 * HOUR))
    assert (then.revision, then.values["title"], then.known_at) == (0, "Up", T0)
    (then,) = await texts(node, Point(as_of=T0 + HOUR))
    assert then.values["title"] == "Up"
    assert await texts(node, Point(as_of=T0 + HOUR - MINUTE)) == []
    # It is found at its first place only.
    assert await texts(node, over=TimeRange(T0 + HOUR, T0 + 9 * HOUR)) == []


async def test_a_text_that_changes_back_is_a_third_revision(node: Open):
    for n, title in enumerate(("Up", "Down", "Up")):
        await node.commit(had([article(title=title)], T0 + (n + 1) * HOUR))
    (fact,) = await texts(node)
    assert (fact.revision, fact.values["title"], fact.known_at) == (2, "Up", T0 + 3 * HOUR)


async def test_two_articles_of_the_same_second_are_two(node: Open):
    done = await node.commit(had([article("b", title="second"), article("a", title="first")], T0 + HOUR))
    assert (done.new, done.revised) == (2, 0)
    assert [(f.key, f.values["title"], f.cursor) for f in await texts(node)] == [
        ("a", "first", T0),
        ("b", "second", T0),
    ]


async def test_ids_are_told_apart_by_their_exact_letters(node: Open):
    ids = ["Guid", "guid", "gu\u0131d", "https://a.example/x?a=1:2", "\U0001f680"]
    await node.commit(had([article(i, title=i) for i in ids], T0 + HOUR))
    assert {f.key: f.values["title"] for f in await texts(node)} == {i: i for i in ids}


async def test_long_texts_and_every_letter_come_back_as_they_were(node: Open):
    body = "\U0001f680 \u200d\u4e2d\n" * 20_000
    post = Post(feed=FEED, item="t3_1", at=T0, body=body, likes=2**63 - 1, like_ratio=Decimal("0.97"))
    await node.commit(had([post], T0 + HOUR))
    (fact,) = await node.store.reading.between(Post, STREAMS[Post], [FEED], ALWAYS)
    assert fact.values["body"] == body
    assert (fact.values["likes"], fact.values["like_ratio"]) == (2**63 - 1, Decimal("0.97"))
    assert fact.values["deleted"] is False


async def test_the_same_item_of_two_feeds_is_two_facts(node: Open):
    other = Article(feed="crypto/coindesk", item="guid-1", at=T0, title="Up")
    done = await node.commit(had([article(), other], T0 + HOUR))
    assert done.new == 2
    latest = await node.store.reading.latest(Article, STREAMS[Article])
    assert sorted(latest) == ["crypto/coindesk", FEED]


async def test_the_newest_article_is_the_one_found_last(node: Open):
    await node.commit(had([article("new", at=T0 + HOUR), article("old")], T0 + 2 * HOUR))
    await node.commit(had([article("old", title="changed")], T0 + 3 * HOUR))
    latest = await node.store.reading.latest(Article, STREAMS[Article])
    assert latest[FEED].key == "new"
    then = await node.store.reading.latest(Article, STREAMS[Article], at=Point(known_by=T0))
    assert (then[FEED].key, then[FEED].revision) == ("old", 0)


async def test_the_event_of_an_article_names_its_revision(node: Open):
    await node.commit(had([article()], T0 + HOUR, topic="news"))
    await node.commit(had([article(title="Down")], T0 + 2 * HOUR, topic="news"))
    await node.commit(had([article(title="Down")], T0 + 3 * HOUR, topic="news"))
    async with node.store.database.read() as connection:
        events = (await connection.execute(text("SELECT events FROM outbox ORDER BY id"))).scalars().all()
    assert len(events) == 3  # the last says only that the interval is complete
    assert '"revision"' not in events[2]
    assert '"revision":0' in events[0]
    assert '"revision":1' in events[1]
    assert '"title":"Down"' in events[1]


ORDERS = [(0, 1, 2), (2, 1, 0), (1, 2, 0)]
RELEASED = [vintage(0, "1.0"), vintage(30, "1.5"), vintage(60, "1.2")]


@pytest.mark.parametrize("order", ORDERS)
async def test_vintages_in_any_order_give_the_vintage_of_a_time(node: Open, order: tuple[int, ...]):
    received = T0 + 100 * DAY
    for n, which in enumerate(order):
        done = await node.commit(had([RELEASED[which]], received + n * HOUR))
        assert done.new == 1
    assert await observed(node) == {Q1: (number(60), Decimal("1.2"))}
    told = timedelta(hours=30)
    for day, value in ((0, "1.0"), (30, "1.5"), (60, "1.2")):
        known = T0 + day * DAY + told
        assert await observed(node, Point(known_by=known)) == {Q1: (number(day), Decimal(value))}
        assert await observed(node, Point(known_by=known + 29 * DAY - told)) == {
            Q1: (number(day), Decimal(value))
        }
    assert await observed(node, Point(known_by=T0 + told - MINUTE)) == {}
    assert await observed(node, Point(as_of=received - MINUTE)) == {}


async def test_vintages_of_one_answer_are_each_a_fact(node: Open):
    done = await node.commit(had(RELEASED, T0 + 100 * DAY))
    assert (done.new, done.revised) == (3, 0)
    assert await observed(node, Point(known_by=T0 + 40 * DAY)) == {Q1: (number(30), Decimal("1.5"))}


async def test_the_same_vintage_again_is_unchanged(node: Open):
    await node.commit(had([*RELEASED, vintage(70, None)], T0 + 100 * DAY))
    again = await node.commit(had([vintage(0, "1.00"), *RELEASED[1:], vintage(70, None)], T0 + 101 * DAY))
    assert (again.new, again.revised, again.unchanged) == (0, 0, 4)


async def test_another_value_of_the_same_vintage_is_a_revision_of_that_vintage(node: Open):
    await node.commit(had(RELEASED, T0 + 100 * DAY))
    done = await node.commit(had([vintage(30, "1.6")], T0 + 101 * DAY))
    assert (done.new, done.revised) == (0, 1)
    assert await observed(node) == {Q1: (number(60), Decimal("1.2"))}  # a later vintage still holds
    june = Point(known_by=T0 + 59 * DAY)
    assert await observed(node, june) == {Q1: (number(30), Decimal("1.5"))}  # nobody knew of 1.6 then
    found = await node.store.reading.lineage(Observation, STREAMS[Observation], SERIES, Q1, number(30, 1))
    assert found is not None
    assert (found["known_at"], found["had_at"]) == (T0 + 101 * DAY, T0 + 101 * DAY)
    again = await node.commit(had([vintage(30, "1.6")], T0 + 102 * DAY))
    assert (again.revised, again.unchanged) == (0, 1)
    back = await node.commit(had([vintage(30, "1.5")], T0 + 103 * DAY))
    assert back.revised == 1


async def test_a_corrected_last_vintage_holds_from_when_we_had_it(node: Open):
    await node.commit(had([vintage(0, "1.0")], T0 + 10 * DAY))
    await node.commit(had([vintage(0, "1.1")], T0 + 11 * DAY))
    assert await observed(node) == {Q1: (number(0, 1), Decimal("1.1"))}
    assert await observed(node, Point(known_by=T0 + 10 * DAY)) == {Q1: (number(0), Decimal("1.0"))}
    assert await observed(node, Point(as_of=T0 + 10 * DAY)) == {Q1: (number(0), Decimal("1.0"))}


async def test_a_withdrawn_value_holds(node: Open):
    await node.commit(had([vintage(0, "1.0"), vintage(30, None)], T0 + 100 * DAY))
    assert await observed(node) == {Q1: (number(30), None)}
    assert await observed(node, Point(known_by=T0 + 29 * DAY)) == {Q1: (number(0), Decimal("1.0"))}


async def test_a_vintage_received_on_its_day_was_known_then(node: Open):
    """Its hour is not told, but we had it at 13:30."""
    received = T0 + timedelta(hours=13, minutes=30)
    await node.commit(had([vintage(0, "1.0")], received))
    (fact,) = await node.store.reading.between(Observation, STREAMS[Observation], [SERIES], ALWAYS)
    assert (fact.known_at, fact.received_at) == (received, received)
    assert await observed(node, Point(as_of=received)) == {Q1: (number(0), Decimal("1.0"))}


async def test_the_latest_observation_is_that_of_the_newest_period(node: Open):
    await node.commit(had([vintage(30, "1.5", Q2), vintage(60, "1.9", Q1)], T0 + 100 * DAY))
    latest = await node.store.reading.latest(Observation, STREAMS[Observation])
    assert (latest[SERIES].key, latest[SERIES].values["value"]) == (Q2, Decimal("1.5"))
    await node.commit(had([vintage(61, "1.4", Q2)], T0 + 101 * DAY))
    latest = await node.store.reading.latest(Observation, STREAMS[Observation])
    assert (latest[SERIES].key, latest[SERIES].revision) == (Q2, number(61))
    then = await node.store.reading.latest(
        Observation, STREAMS[Observation], at=Point(known_by=T0 + 59 * DAY)
    )
    assert (then[SERIES].key, then[SERIES].revision) == (Q2, number(30))


async def changes(node: Open, record: type[Record], **more: Any) -> list[tuple[Fact, Fact]]:
    return await node.store.reading.revisions(record, STREAMS[record], ALWAYS, 100, **more)


async def test_the_change_of_a_text_pairs_old_and_new(node: Open):
    for n, title in enumerate(("Up", "Down", "Flat")):
        await node.commit(
            had([article(title=title, at=T0 + n * MINUTE), article("same")], T0 + (n + 1) * HOUR)
        )
    pairs = await changes(node, Article)
    assert [
        (old.key, old.revision, old.values["title"], new.revision, new.values["title"], new.received_at)
        for old, new in pairs
    ] == [
        ("guid-1", 0, "Up", 1, "Down", T0 + 2 * HOUR),
        ("guid-1", 1, "Down", 2, "Flat", T0 + 3 * HOUR),
    ]
    assert pairs[0][0].received_at == T0 + HOUR
    assert {fact.cursor for pair in pairs for fact in pair} == {T0}


async def test_the_change_of_a_vintage_pairs_it_with_the_one_before(node: Open):
    await node.commit(had([vintage(0, "1.0")], T0 + 10 * DAY))
    await node.commit(had([vintage(60, "1.2")], T0 + 70 * DAY))
    await node.commit(had([vintage(60, "1.3")], T0 + 71 * DAY))
    pairs = await changes(node, Observation)
    assert [(old.revision, old.values["value"], new.revision, new.values["value"]) for old, new in pairs] == [
        (number(0), Decimal("1.0"), number(60), Decimal("1.2")),
        (number(60), Decimal("1.2"), number(60, 1), Decimal("1.3")),
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 5])
async def test_many_vintages_of_one_answer_are_all_paged_through(node: Open, limit: int):
    """They share series, period and time of receipt; only the revision tells them apart."""
    days = (0, 10, 20, 30)
    await node.commit(
        had([vintage(day, f"1.{day}", period) for period in (Q1, Q2) for day in days], T0 + 100 * DAY)
    )
    everything = [(new.key, old.revision, new.revision) for old, new in await changes(node, Observation)]
    assert everything == [
        (period, number(one), number(other)) for period in (Q1, Q2) for one, other in itertools.pairwise(days)
    ]
    paged, after = [], None
    while page := await node.store.reading.revisions(Observation, STREAMS[Observation], ALWAYS, limit, after):
        paged += [(new.key, old.revision, new.revision) for old, new in page]
        last = page[-1][1]
        after = (last.received_at, last.partition, last.key, last.revision)
    assert paged == everything


async def test_an_id_leads_back_to_the_page(node: Open):
    odd = "tag:decrypt.co,2026:/?p=12:34"
    first = had([article(odd)], T0 + HOUR)
    second = had([article(odd, title="Down")], T0 + 2 * HOUR)
    await node.commit(first)
    await node.commit(second)
    (fact,) = await texts(node)
    assert fact.id == f"rss.articles:{FEED}:{odd}:1"
    stream, partition, key, revision = parse_id(fact.id)
    assert (stream, partition, key, revision) == (STREAMS[Article], FEED, odd, 1)
    for revision, page in ((0, first.pages[0]), (1, second.pages[0])):
        found = await node.store.reading.lineage(Article, stream, partition, key, revision)
        assert found is not None
        assert (found["hash"], found["body"], found["had_at"]) == (page.id, page.body_hash, page.received_at)
    assert await node.store.reading.lineage(Article, stream, partition, key, 2) is None
    assert await node.store.reading.lineage(Article, stream, partition, "another", 0) is None
    vintaged = had([vintage(0, "1.0")], T0 + 10 * DAY)
    await node.commit(vintaged)
    (seen,) = await node.store.reading.between(Observation, STREAMS[Observation], [SERIES], ALWAYS)
    found = await node.store.reading.lineage(Observation, *parse_id(seen.id))
    assert found is not None
    assert found["hash"] == vintaged.pages[0].id


@pytest.mark.parametrize("key", ["2026-03-01", "20260301", "1989012301234567890", "198901230123456", "1:2"])
async def test_an_id_of_digits_is_no_time(node: Open, key: str):
    """Posts are numbered; some of their numbers would do as a time without dashes."""
    await node.commit(had([article(key)], T0 + HOUR))
    (fact,) = await texts(node)
    assert parse_id(fact.id) == (STREAMS[Article], FEED, key, 0)
    assert await node.store.reading.lineage(Article, *parse_id(fact.id)) is not None


async def test_what_is_had_before_it_should_be_known_was_known_then(node: Open):
    early = Metric(metric=METRIC, at=T0, published=T0 + 2 * DAY, value=Decimal(5))
    late = Metric(metric=METRIC, at=T0 + DAY, published=T0 + 3 * DAY, value=Decimal(6))
    await node.commit(had([early], T0 + DAY + HOUR))
    await node.commit(had([late], T0 + 9 * DAY))
    found = await node.store.reading.between(Metric, STREAMS[Metric], [METRIC], ALWAYS)
    assert [(f.cursor, f.known_at, f.received_at) for f in found] == [
        (T0, T0 + DAY + HOUR, T0 + DAY + HOUR),
        (T0 + DAY, T0 + 3 * DAY, T0 + 9 * DAY),
    ]
    then = await node.store.reading.between(
        Metric, STREAMS[Metric], [METRIC], ALWAYS, Point(as_of=T0 + DAY + HOUR)
    )
    assert [f.values["value"] for f in then] == [Decimal(5)]
    revised = early.model_copy(update={"value": Decimal(7)})
    await node.commit(had([revised], T0 + DAY + 2 * HOUR))  # before `published`, too
    (first, _) = await node.store.reading.between(Metric, STREAMS[Metric], [METRIC], ALWAYS)
    assert (first.revision, first.values["value"], first.known_at) == (1, 7, T0 + DAY + 2 * HOUR)


async def test_the_same_text_found_by_two_at_once_is_one_fact(node: Open, opened: Callable[..., Store]):
    others = [opened() for _ in range(3)]
    leases = [await store.leases.acquire(f"shard-{n}", "me") for n, store in enumerate(others)]

    async def commit(n: int) -> None:
        lease = leases[n]
        assert lease is not None
        await others[n].commit([had([article(f"item-{i}") for i in range(20)], T0 + HOUR)], lease)

    await asyncio.gather(*(commit(n) for n in range(3)))
    assert await node.store.reading.count(Article, STREAMS[Article]) == 20


def migrate(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


LATER = {"quote_volume", "taker_buy_volume", "trades"}
SMALLEST = Decimal("1E-30")


def bar(n: int) -> Bar:
    start = T0 + n * HOUR
    prices: dict[str, Any] = {
        "open": Decimal(2),
        "high": Decimal(10) ** 34,
        "low": SMALLEST,
        "close": Decimal("2.5") + n,
    }
    return Bar(symbol="bitcoin", interval="1h", start=start, end=start + HOUR, volume=SMALLEST, **prices)


async def test_a_database_of_the_first_migration_keeps_its_bars(opened: Callable[..., Store]):
    """Rows written as the node of then wrote them: without the columns that came later."""
    store, source, name = opened(), "coingecko", "coingecko.bars_1h"
    bars, asked = FACTS[Bar], had([article()], T0 + DAY).pages[0]
    async with store.database.write() as connection:
        await connection.run_sync(migrate, "0001")
        shape = await connection.run_sync(lambda c: {col["name"] for col in inspect(c).get_columns("bars")})
        assert shape == {column.name for column in bars.columns} - LATER
        assert not await connection.run_sync(lambda c: inspect(c).has_table("articles"))
        await connection.execute(insert(nodes).values(name="kind", value="simulated"))
        await connection.execute(insert(series).values(id=1, stream=name, partition="bitcoin"))
        told = {"hash": asked.id, "body": asked.body_hash, "params": "{}", "path": "/ohlc", "status": 200}
        times = {"asked_at": asked.asked_at, "received_at": asked.received_at}
        await connection.execute(insert(pages).values(id=1, stream=name, parser="1", **told, **times))
        for n in range(3):
            values = {f: v for f, v in bar(n).model_dump().items() if f != "symbol" and f not in LATER}
            proof = {"series": 1, "revision": 0, "known_at": bar(n).end, "received_at": T0 + DAY, "page": 1}
            await connection.execute(insert(bars).values(**values, **proof))
    await store.database.prepare(simulated=True)
    found = await store.reading.between(Bar, name, ["bitcoin"], ALWAYS)
    assert [(f.cursor, f.revision, f.known_at, f.received_at) for f in found] == [
        (T0 + n * HOUR, 0, T0 + (n + 1) * HOUR, T0 + DAY) for n in range(3)
    ]
    for n, fact in enumerate(found):
        assert fact.values == bar(n).model_dump(exclude={"symbol", "start"})
        assert {fact.values[name] for name in LATER} == {None}
    lineage = await store.reading.lineage(Bar, *parse_id(found[2].id))
    assert lineage is not None
    assert lineage["hash"] == asked.id
    lease = await store.leases.acquire("shard", "me")
    assert lease is not None
    again = had([article()], T0 + 2 * DAY)
    told_again = replace(
        again,
        source=source,
        stream="bars_1h",
        records=((bar(0), 0), (bar(1).model_copy(update={"trades": 7}), 0)),
    )
    done = await store.commit([told_again], lease)
    assert (done.new, done.revised, done.unchanged) == (0, 1, 1)
    found = await store.reading.between(Bar, name, ["bitcoin"], ALWAYS)
    assert [(f.revision, f.values["trades"]) for f in found] == [(0, None), (1, 7), (0, None)]
