"""The text sources against their simulated upstreams: every feed asks, is answered, and reads the truth."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from ray_app.collect.collector import collect
from ray_app.connect.addresses import address_of
from ray_app.connect.api import HttpApi, client
from ray_app.connect.signing import signing_for
from ray_app.model.clock import ManualClock
from ray_app.model.collected import Collected
from ray_app.model.errors import Malformed, Refused, UpstreamError
from ray_app.model.plaintext import tidied
from ray_app.model.quota import Priority
from ray_app.model.source import Page, Slice, Source, Stream
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import TimeRange
from ray_app.simulator.config import SimulatorConfig
from ray_app.simulator.server import running
from ray_app.sources import edgar, guardian, reddit, rss, x
from tests.connect.conftest import LISTINGS, START, Counted

SECRETS = {
    "reddit": ("sim-id", "sim-secret"),
    "x": ("sim-key",),
    "guardian": ("sim-key",),
    "edgar": ("A Tester tester@example.com",),
}
SLOT = START.replace(minute=0, second=0)  # it is 10:03:21


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with running(SimulatorConfig(start=START, frozen=True, coins=40, listings=LISTINGS, limits=False)) as at:
        yield at


@dataclass
class Asker:
    """Asks the simulated upstreams of a source the way the node does."""

    base: str
    http: httpx.AsyncClient
    kept: list[Page] = field(default_factory=list)
    validators: dict[tuple[str, ...], dict[str, str]] = field(default_factory=dict)

    def api(self, source: Source, stream: Stream) -> HttpApi:
        tier, clock = source.plans[0], ManualClock(START)
        base_url = self.base + tier.simulated_at
        address = partial(address_of, tier, base_url, simulated=True)
        headers = {
            name: value.replace("{contact}", "tester@example.com") for name, value in source.headers.items()
        }
        secrets = SECRETS.get(source.name, ())
        agent = headers.get("User-Agent", "")

        async def keep(page: Page) -> None:
            self.kept.append(page)

        return HttpApi(
            source=source, plan=tier, stream=replace(stream, attempts=1), priority=Priority.LIVE,
            turns=Counted(clock), clock=clock, keep=keep, http=self.http, base_url=base_url, simulated=True,
            signing=signing_for(tier, source.name, secrets, address, self.http, clock, agent),
            headers=headers, validators=self.validators,
        )  # fmt: skip

    async def ask(self, source: Source, stream: Stream, partition: str, over: TimeRange) -> Collected:
        return await collect(source, stream, Slice((partition,), over), self.api(source, stream))

    def truth(self, name: str, over: TimeRange, **asked: str) -> list[dict[str, Any]]:
        asked |= {"from": over.start.isoformat(), "to": over.end.isoformat()}
        told: list[dict[str, Any]] = (
            httpx.get(f"{self.base}/sim/truth/{name}", params=asked).raise_for_status().json()
        )
        return told


@pytest.fixture
async def asker(base: str) -> AsyncIterator[Asker]:
    async with client() as http:
        yield Asker(base, http)


def back(span: timedelta) -> TimeRange:
    return TimeRange(SLOT - span, SLOT)


@pytest.mark.parametrize("name", ["Bitcoin", "stocks"])
async def test_reddits_posts_are_those_written(asker: Asker, name: str):
    (stream,) = reddit.SOURCE.plans[0].streams
    collected = await asker.ask(reddit.SOURCE, stream, name, back(timedelta(hours=12)))
    assert collected.set_aside == ()
    posts = {r.item: r for r, _ in collected.records if isinstance(r, Post)}
    written = asker.truth("reddit", collected.slice.range, sub=name)
    truth = {f"t3_{post['id'].removeprefix('t3_')}": post for post in written}
    assert len(posts) > 20
    for item, post in posts.items():
        told = truth[item]
        assert post.at == datetime.fromtimestamp(told["created_utc"], UTC)
        assert post.title == tidied(told["title"])
        assert post.author in (told["author"], None)
        assert (post.body or "") in (tidied(told["text"]), tidied(told["edited_text"] or ""))
    gone = [item for item, told in truth.items() if told["ends"] and told["ended"] <= START.timestamp()]
    assert truth.keys() - posts.keys() <= set(gone)

    assert stream.recheck is not None
    ids = sorted(truth)[-100:]
    there = set[str]()
    async for page in stream.recheck.fetch(asker.api(reddit.SOURCE, stream), ids):
        there |= set(stream.recheck.present(page))
    assert there == set(ids) - set(gone)
    assert there < set(ids)


@pytest.mark.parametrize("name", x.QUERIES)
async def test_the_posts_of_x_are_those_written(asker: Asker, name: str):
    (stream,) = x.SOURCE.plan("full").streams
    over = back(timedelta(hours=12))
    collected = await asker.ask(x.SOURCE, stream, name, over)
    assert collected.set_aside == ()
    truth = {
        told["ids"][0]: told
        for told in asker.truth("x", TimeRange(over.start - timedelta(hours=2), over.end))
    }
    for post in (record for record, _ in collected.records):
        assert isinstance(post, Post)
        told = truth[post.item]
        assert post.author == told["author_id"]
        assert post.language == told["lang"] == "en"
        assert post.body is not None
        assert post.likes is not None


async def test_the_new_vocabulary_of_x_is_found_out(asker: Asker):
    """By a server that knows the new names only: the same posts, but for their authors."""
    (stream,) = x.SOURCE.plan("full").streams
    over = back(timedelta(hours=6))
    before = await asker.ask(x.SOURCE, stream, "crypto-cashtags", over)
    rule = {"fault": "Y01", "path": "*", "parameters": {"dialect": "posts"}}
    await asker.http.post(f"{asker.base}/sim/faults", json=rule)
    try:
        after = await asker.ask(x.SOURCE, stream, "crypto-cashtags", over)
    finally:
        await asker.http.delete(f"{asker.base}/sim/faults")
    assert [page.params.get("post.fields") is not None for page in asker.kept].count(True) == len(after.pages)
    without = [record.model_copy(update={"author": None}) for record, _ in before.records]
    assert [record for record, _ in after.records] == without
    assert len(without) > 20


@pytest.mark.parametrize("name", guardian.FEEDS)
async def test_the_guardians_articles_are_those_published(asker: Asker, name: str):
    (stream,) = guardian.SOURCE.plans[0].streams
    over = back(timedelta(days=2))
    collected = await asker.ask(guardian.SOURCE, stream, name, over)
    assert collected.set_aside == ()
    truth = {
        told["id"]: told
        for told in asker.truth("guardian", TimeRange(over.start - timedelta(days=3), over.end))
    }
    articles = [record for record, _ in collected.records if isinstance(record, Article)]
    for article in articles:
        told = truth[article.item]
        assert article.published == datetime.fromisoformat(told["published"])
        assert article.title in (told["title"], told["later_title"])
        assert article.summary
        assert "<" not in article.summary
    assert len(articles) > 5


SOME = (
    "crypto/coindesk", "crypto/cointelegraph", "crypto/decrypt", "crypto/theblock", "crypto/thedefiant",
    "crypto/bitcoinmagazine", "stock/cnbc-top", "stock/fed", "stock/marketwatch", "stock/yahoo", "stock/yahoo-coin",
)  # fmt: skip
EVERY = [pytest.param(name, marks=() if name in SOME else (pytest.mark.slow,)) for name in rss.FEEDS]


@pytest.mark.parametrize("name", EVERY)
async def test_every_feed_is_read(asker: Asker, name: str):
    (stream,) = rss.SOURCE.plans[0].streams
    over = TimeRange(SLOT, SLOT + stream.grain)
    if name == "crypto/bitcoinmagazine":
        with pytest.raises(Refused, match="HTTP 403"):
            await asker.ask(rss.SOURCE, stream, name, over)
        return
    collected = await asker.ask(rss.SOURCE, stream, name, over)
    articles = [record for record, _ in collected.records if isinstance(record, Article)]
    assert len(articles) >= 5
    for article in articles:
        assert article.title
        assert article.at <= START + timedelta(minutes=5)
        assert "utm_" not in (article.url or "")
    again = await asker.ask(rss.SOURCE, stream, name, over)
    if again.pages[0].status == 304:
        assert again.records == ()
    else:
        assert [record for record, _ in again.records] == [record for record, _ in collected.records]


THE_SAME = ("R02", "R03", "R04", "R05", "R06", "R12", "R13", "R19", "R21", "R22", "R26")
UNREADABLE = {"R20": "cut off", "R25": "no feed but", "R30": "declares entities"}


@pytest.mark.parametrize("quirk", [*THE_SAME, *UNREADABLE])
async def test_a_feeds_quirk_changes_nothing_or_makes_it_no_feed(asker: Asker, quirk: str):
    (stream,) = rss.SOURCE.plans[0].streams
    over = TimeRange(SLOT, SLOT + stream.grain)
    right = await asker.ask(rss.SOURCE, stream, "crypto/decrypt", over)
    asker.validators.clear()
    await asker.http.post(f"{asker.base}/sim/faults", json={"fault": quirk, "path": "*"})
    try:
        if quirk in UNREADABLE:
            with pytest.raises(Malformed, match=UNREADABLE[quirk]):
                await asker.ask(rss.SOURCE, stream, "crypto/decrypt", over)
            return
        odd = await asker.ask(rss.SOURCE, stream, "crypto/decrypt", over)
    finally:
        await asker.http.delete(f"{asker.base}/sim/faults")
    told, usual = odd.pages[0], right.pages[0]
    assert (told.body, told.headers["content-type"]) != (usual.body, usual.headers["content-type"])
    by_id = {record.key: record for record, _ in right.records}
    assert {record.key: record for record, _ in odd.records} == by_id
    assert len(by_id) == 40


SIMULATED = ("COIN", "MSTR", "MARA", "RIOT", "HOOD", "NVDA", "TSLA", "AMD")


@pytest.mark.parametrize("name", SIMULATED)
async def test_the_filings_are_those_made(asker: Asker, name: str):
    (stream,) = edgar.SOURCE.plans[0].streams
    collected = await asker.ask(edgar.SOURCE, stream, name, TimeRange(SLOT, SLOT + stream.grain))
    assert collected.set_aside == ()
    filings = {record.key: record for record, _ in collected.records}
    over = TimeRange(START - timedelta(days=60), START)
    truth = [
        t for t in asker.truth("edgar", over, cik=str(edgar.COMPANIES[name])) if t["form"] in edgar.FORMS
    ]
    assert truth
    for told in truth:
        filing = filings[told["accessionNumber"]]
        assert isinstance(filing, Article)
        assert filing.topics == "; ".join([name, *told["items"].split(",")])
        assert filing.url is not None
        assert filing.url.endswith(f"/{told['accessionNumber'].replace('-', '')}/{told['primaryDocument']}")
        assert filing.at <= START


async def test_who_does_not_say_who_he_is_gets_nothing_of_edgar(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(SECRETS, "edgar", ("nobody",))
    (stream,) = edgar.SOURCE.plans[0].streams
    with pytest.raises(UpstreamError):
        await asker.ask(edgar.SOURCE, stream, "COIN", TimeRange(SLOT, SLOT + stream.grain))
