"""POST /api/v1/models/...: what a model says of a client's own texts, and every body that is refused."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache
from typing import Any

import pytest

from ray_app.model.collected import Lease
from ray_app.process.sentiment import embedded
from ray_app.process.sentiment.model import SentimentModel
from ray_app.process.sentiment.readable import LONGEST
from ray_app.process.sentiment.scores import Score
from ray_app.serve.models import MODELS, ModelState, NoAnswer
from ray_app.serve.rest.models import MOST_BYTES
from ray_app.store.scored import exact
from tests.serve.conftest import Running, Start, at
from tests.serve.test_errors import check

CRYPTOBERT, FINBERT = (f"/api/v1/models/{name}" for name in MODELS)


@cache
def model() -> SentimentModel:
    return embedded.load()


class Here:
    """The embedded model in this process, behind both routes, or the reason for which there is none."""

    def __init__(self, broken: NoAnswer | None = None) -> None:
        self._broken = broken
        self.asked: list[tuple[str, list[str]]] = []

    async def score(self, name: str, texts: Sequence[str]) -> Sequence[Score]:
        self.asked.append((name, list(texts)))
        if self._broken is not None:
            raise self._broken
        return model().score(texts)

    async def states(self) -> Mapping[str, ModelState]:
        if self._broken is None:
            return dict.fromkeys(MODELS, ModelState("available"))
        return dict.fromkeys(MODELS, ModelState("missing", self._broken.reason))


@pytest.fixture
async def models() -> Here:
    return Here()


@pytest.fixture
async def node(start: Start, models: Here) -> Running:
    running = await start(models=models)
    await running.fill.declare()
    return running


async def send(node: Running, body: Any, path: str = CRYPTOBERT, **more: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await node.http.post(path, content=content, **more)


async def test_each_text_gets_what_the_model_says_of_it(node: Running, models: Here):
    texts = [
        "Bitcoin soars to a new record",
        "🚀🚀",
        "",
        "Die Börse ist und bleibt nicht offen",
        "The exchange was hacked",
    ]
    for path, name in ((CRYPTOBERT, "cryptobert"), (FINBERT, "finbert")):
        answer = await send(node, {"texts": texts}, path)
        assert answer.status_code == 200, answer.text
        assert models.asked[-1] == (name, texts)
        body = answer.json()
        said = {"id": "minilm-market-words", "digest": model().digest}
        for one, score in zip(body["data"], model().score(texts), strict=True):
            assert one["model"] == said, "the embedded model is never called by another's name"
            assert (one["label"], one["reason"]) == (score.label, score.reason)
            if score.score is None or score.probabilities is None:
                assert (one["score"], one["confidence"], one["probabilities"]) == (None, None, None)
            else:
                assert one["score"] == float(exact(score.score))
                assert one["confidence"] == max(one["probabilities"].values())
                assert one["probabilities"] == {k: float(exact(p)) for k, p in score.probabilities.items()}
                assert list(one["probabilities"]) == ["bearish", "neutral", "bullish"]
        assert [one["label"] for one in body["data"]] == ["bullish", None, None, None, "bearish"]
        assert [one["reason"] for one in body["data"]] == [None, "no_words", "empty", "not_english", None]
        assert body["meta"]["source"] == "minilm-market-words"
        assert (body["meta"]["simulated"], body["meta"]["condition"]) == (True, "available")
        assert answer.headers["cache-control"] == "no-store"


async def test_as_many_and_as_long_texts_as_are_promised(node: Running):
    long = "The market fell. " * (LONGEST // 17 + 1)
    answer = await send(node, {"texts": [long[:LONGEST], *(f"Text {n} rose" for n in range(63))]})
    assert [one["reason"] for one in answer.json()["data"]] == [None] * 64


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "send one JSON object"),
    "no JSON": (b"texts=Bitcoin", "send one JSON object"),
    "cut short": (b'{"texts": ["a"', "send one JSON object"),
    "another encoding": ('{"texts": ["ä"]}'.encode("utf-16"), "send one JSON object"),
    "half a letter": (b'{"texts": ["\xc3"]}', "send one JSON object"),
    "no number": (b'{"texts": [NaN]}', "send one JSON object"),
    "too deep": (b'{"texts": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "send one JSON object"),
    "a name given twice": (b'{"texts": ["a"], "texts": ["b"]}', "given more than once"),
    "a list": (b'["a"]', "this route takes: texts"),
    "null": (b"null", "this route takes: texts"),
    "an unknown name": (b'{"texts": ["a"], "model": "finbert"}', "this route takes: texts"),
    "another name": (b'{"text": ["a"]}', "this route takes: texts"),
    "no list": (b'{"texts": "a"}', "this route takes: texts"),
    "no texts": (b'{"texts": []}', "this route takes: texts"),
    "65 texts": (json.dumps({"texts": ["a"] * 65}).encode(), "this route takes: texts"),
    "a number": (b'{"texts": ["a", 1]}', "this route takes: texts"),
    "a null text": (b'{"texts": [null]}', "this route takes: texts"),
    "a text too long": (json.dumps({"texts": ["a" * (LONGEST + 1)]}).encode(), "this route takes: texts"),
    "NUL": (b'{"texts": ["a\\u0000b"]}', "this route takes: texts"),
    "half of a pair": (b'{"texts": ["a\\ud83d"]}', "this route takes: texts"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_a_body_that_is_wrong_is_told_what_would_be_right(node: Running, models: Here, what: str):
    body, words = REFUSED[what]
    for path in (CRYPTOBERT, FINBERT):
        error = check(await send(node, body, path), 422, "VALIDATION_ERROR")
        assert words in error["message"]
    assert models.asked == []


async def test_errors_say_where_and_repeat_nothing_of_what_was_sent(node: Running):
    answer = await send(node, {"texts": ["fine", "my secret \0"]})
    error = check(answer, 422, "VALIDATION_ERROR")
    assert [(one["where"], one["message"]) for one in error["details"]["errors"]] == [
        ("texts.1", "Value error, holds a NUL character")
    ]
    assert "secret" not in answer.text


async def test_a_body_that_is_too_large_is_not_read(node: Running, models: Here):
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    for answer in (
        await send(node, b'{"texts": ["' + b"a" * MOST_BYTES + b'"]}'),
        await node.http.post(CRYPTOBERT, content=endless()),
        await send(node, b"{}", headers={"Content-Length": "9" * 30}),
    ):
        error = check(answer, 413, "PAYLOAD_TOO_LARGE")
        assert error["details"] == {"most_bytes": MOST_BYTES}
    assert sent <= MOST_BYTES + 2 * 65_536
    assert models.asked == []


async def test_only_posts_with_the_scope_and_without_a_query(node: Running):
    answer = await node.http.get(CRYPTOBERT)
    check(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"
    check(await send(node, {"texts": ["a"]}, f"{CRYPTOBERT}?model=x"), 422, "VALIDATION_ERROR")
    check(await send(node, {"texts": ["a"]}, "/api/v1/models/gpt"), 404, "NOT_FOUND")
    key = await node.new_key("read:news")
    refused = await send(node, b"{", headers={"Authorization": f"Bearer {key}"})
    assert check(refused, 403, "INSUFFICIENT_SCOPE")["details"]["scope"] == "read:sentiment"


async def test_without_models_the_route_says_what_to_do(start: Start):
    running = await start()
    error = check(await send(running, {"texts": ["a"]}), 503, "SERVICE_UNAVAILABLE")
    assert "CRYPTO_DATA_SENTIMENT is off" in error["message"]
    assert error["details"] == {"down": ["cryptobert"]}


async def test_why_a_model_is_broken_is_for_who_may_see_how_the_node_does(start: Start):
    reason = "finbert: the folder of somebody lacks weights"
    running = await start(models=Here(NoAnswer("finbert cannot be loaded on this node", reason)))
    await running.fill.declare()
    answer = await send(running, {"texts": ["a"]}, FINBERT)
    error = check(answer, 503, "SERVICE_UNAVAILABLE")
    assert error["message"].startswith(
        "finbert cannot be loaded on this node; the reason is in /api/v1/health"
    )
    assert error["details"] == {"down": ["finbert"], "reason": reason}
    assert answer.headers["retry-after"] == "5"
    key = await running.new_key("read:sentiment")
    answer = await send(running, {"texts": ["a"]}, FINBERT, headers={"Authorization": f"Bearer {key}"})
    assert check(answer, 503, "SERVICE_UNAVAILABLE")["details"] == {"down": ["finbert"]}
    assert "somebody" not in answer.text


async def test_health_tells_of_models_and_makes_no_data_set_worse(node: Running, start: Start):
    before = await node.get("/api/v1/health")
    part = {"part": "models.cryptobert", "required": False, "state": "available", "reason": None}
    assert before["parts"][2:] == [part, part | {"part": "models.finbert"}]
    broken = await start(models=Here(NoAnswer("told", "why")))
    lease = await node.store.leases.acquire("collect-0", "me")
    assert lease is not None
    catalog = node.store.catalog
    await catalog.report_scoring("articles", lease, at(), "finbert: no config.json")
    await catalog.report_scoring("posts", lease, at())
    after = await broken.get("/api/v1/health")
    assert [(one["part"], one["state"], one["reason"]) for one in after["parts"][2:]] == [
        ("scoring.articles", "missing", "collect-0: finbert: no config.json"),
        ("scoring.posts", "available", None),
        ("models.cryptobert", "missing", "why"),
        ("models.finbert", "missing", "why"),
    ]
    assert not any(one["required"] for one in after["parts"][2:])
    assert after["datasets"] == before["datasets"]
    assert after["status"] == before["status"]


async def test_a_shard_that_scores_and_one_that_does_not_are_degraded(node: Running):
    catalog = node.store.catalog
    for shard, refusal in (("collect-0", ""), ("collect-1", "finbert: gone")):
        lease = await node.store.leases.acquire(shard, "me")
        assert lease is not None
        await catalog.report_scoring("articles", lease, at(), refusal)
    part = (await node.get("/api/v1/health"))["parts"][2]
    assert (part["state"], part["reason"]) == ("degraded", "collect-1: finbert: gone")
    await node.store.leases.release(Lease("collect-1", "me", 1))
    assert (await node.get("/api/v1/health"))["parts"][2]["state"] == "available"
    await node.store.leases.acquire("collect-0", "heir")
    held = await node.store.leases.held()
    assert held["collect-0"] == "me"


async def test_the_documents_show_what_to_send(node: Running):
    document = (await node.http.get("/openapi.json")).json()
    operation = document["paths"][CRYPTOBERT]["post"]
    sent = operation["requestBody"]["content"]["application/json"]
    assert sent["schema"]["properties"]["texts"]["maxItems"] == 64
    answer = await send(node, sent["example"])
    shown = operation["responses"]["200"]["content"]["application/json"]["example"]
    assert [set(one) for one in answer.json()["data"]] == [set(one) for one in shown["data"]]
    assert set(answer.json()["meta"]) == set(shown["meta"])
    page = (await node.http.get("/docs")).text
    assert "POST /api/v1/models/cryptobert" in page
    assert "1 to 64 texts in English" in page
