"""Real headlines through the store, linked and scored by the loops of a shard, and served; reckoned again from outside.

What is reckoned again uses the model, the rules of linking and the texts themselves, and nothing of the store, of
the aggregate or of the routes.
"""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ray_app.configured import models
from ray_app.model.clock import SystemClock
from ray_app.model.texts import Article
from ray_app.process.linking import Linker
from ray_app.process.sentiment import embedded
from ray_app.runtime.linking import Linking
from ray_app.runtime.opening import Assigned, Node
from ray_app.runtime.scoring import Scoring
from ray_app.settings import Settings
from ray_app.sources import rss
from tests.serve.conftest import Running, Start, at
from tests.serve.filling import REGISTRY
from tests.serve.sources import declared, had

END = datetime(2026, 1, 9, tzinfo=UTC)  # of a day with many headlines in the file
DAY, HALF_LIFE = timedelta(days=1), timedelta(hours=6)
OUTLETS = {
    "coindesk": "crypto/coindesk", "cointelegraph": "crypto/cointelegraph", "decrypt": "crypto/decrypt",
    "theblock": "crypto/theblock", "defiant": "crypto/thedefiant", "bitcoinmagazine": "crypto/bitcoinmagazine",
}  # fmt: skip
# As a reader calls what these say of bitcoin. The second and third tell the same fall, the last three one bill.
READ = {
    "3c9877bdfdd64016": "bearish",
    "50371bdae031da30": "bearish",
    "3523de58fa745019": "bearish",
    "e597ea36c3a46aa3": "bullish",
}
ONE_BILL = ("e597ea36c3a46aa3", "1a1a8fd615fe6f92", "768c5f1f5ee257d0")


@pytest.fixture(scope="module")
def articles(shared_data: Path) -> list[Article]:
    """The headlines of two days with what stands below them."""
    path = shared_data / "news/free_crypto_news/articles_2026-01.jsonl"
    if not path.exists():
        pytest.skip(f"no recorded news: {path} does not exist")
    found = []
    for line in path.read_text("utf-8").splitlines():
        item = json.loads(line)
        published = datetime.fromisoformat(item["pub_date"])
        if END - 2 * DAY < published <= END and item["source_key"] in OUTLETS:
            found.append(
                Article(
                    feed=OUTLETS[item["source_key"]], item=item["id"], at=published, published=published,
                    title=item["title"], summary=item["description"] or None,
                )
            )  # fmt: skip
    return found


@pytest.fixture
async def node(start: Start, articles: list[Article]) -> Running:
    """They are collected at once, years of time later as it were: the question is what could be known by their day."""
    running = await start()
    await declared(running, rss.SOURCE)
    await had(running, rss.SOURCE, "articles", articles, at(minutes=1))
    running.clock.set(at(minutes=2))
    source = Assigned(source=rss.SOURCE, plan=rss.SOURCE.plans[0], base_url="https://example.org")
    shard = Node(
        store=running.store, registry=REGISTRY, clock=running.clock, assigned=(source,), simulated=True,
        reach=DAY, redis_url="", release="test", http=httpx.AsyncClient(),
        models=models(Settings(_env_file=None)),
    )  # fmt: skip
    parts = (shard, running.fill.lease, ["rss.articles"], SystemClock())
    await Linking(*parts).round()
    done = await Scoring(*parts).round()
    assert done.texts == len(articles)
    await shard.http.aclose()
    running.clock.set(at(minutes=4))
    key = await running.new_key("read:news", "read:sentiment", internal=True)
    running.http.headers["Authorization"] = f"Bearer {key}"
    return running


async def told(node: Running, moment: str) -> dict[str, Any]:
    """The rows of the news route by the item's id."""
    body = await node.get("/api/v1/news/crypto/latest", known_by=moment, limit=1000)
    return {row["record_id"].split(":")[-2]: row for row in body["data"]}


async def test_real_headlines_through_the_store_to_the_route(node: Running, articles: list[Article]):
    model, linker = embedded.load(), Linker(REGISTRY)
    said = ["\n".join(filter(None, (one.title, one.summary))) for one in articles]
    scores = dict(zip((one.item for one in articles), model.score(said), strict=True))
    rows = await told(node, "2026-01-09T00:00:00Z")
    assert set(rows) == set(scores)
    for item, score in scores.items():
        shown = rows[item]["sentiment"]
        assert score.score is not None, "all of these are English"
        assert (shown["score"], shown["confidence"]) == (near(score.score), near(score.confidence))
        assert (shown["label"], shown["model"]) == (score.label, {"id": model.id, "digest": model.digest})
    assert {item: rows[item]["sentiment"]["label"] for item in READ} == READ
    assert len({rows[item]["story"] for item in ONE_BILL}) == 1

    # Each text about bitcoin of the day: weight, what it says, its story.
    stories: dict[str, list[tuple[float, float]]] = {}
    for one in articles:
        mentions = linker.mentions(one.title or "", one.summary or "", (), one.at)
        link = {mention.asset: mention.confidence for mention in mentions}.get("bitcoin")
        score = scores[one.item]
        if link is None or one.at <= END - DAY or score.score is None or score.confidence is None:
            continue
        weight = math.exp2(-((END - one.at) / HALF_LIFE)) * score.confidence * link
        stories.setdefault(rows[one.item]["story"], []).append((weight, score.score))
    evidence = [
        (max(w for w, _ in texts), sum(w * s for w, s in texts) / sum(w for w, _ in texts))
        for texts in stories.values()
    ]
    expected = sum(w * s for w, s in evidence) / sum(w for w, _ in evidence)
    body = await node.get("/api/v1/sentiment/crypto/BTC", known_by="2026-01-09T00:00:00Z")
    texts = sum(map(len, stories.values()))
    assert texts > len(stories) > 10, "some tell the same"
    assert (body["texts"], body["sample_size"], body["unscored"]) == (texts, len(stories), 0)
    assert body["overall_sentiment"]["score"] == near(expected)
    assert body["breakdown"]["news"]["score"] == near(expected)
    alone = [pair for texts in stories.values() for pair in texts]
    assert expected != near(sum(w * s for w, s in alone) / sum(w for w, _ in alone)), "stories count once"


def near(value: float | None) -> Any:
    return pytest.approx(value, abs=1e-6)
