"""The three ways to a score, side by side: a direct call, Serve with 32 callers, and a Ray Data job.

One core each: the model works on one thread whoever calls it. Through Serve a RoBERTa of BERT-base's shape with
random weights, in rounds that alternate with direct calls; the best of each counts. The job reads 10,000 texts from a
store and writes their scores with the same model. Its whole time counts, with the start of its actors and two loads of
the model, and is held against the mean of two direct calls with a fifth of the texts, before it and after it.
"""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, at_least, at_most
from benchmarks.processes import Spent
from benchmarks.sentiment import _made, _texts

CALLERS, SINGLES, ROUNDS = 32, 32, 3
JOB_TEXTS, DIRECT_TEXTS = 10_000, 2_000
NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def measure() -> dict[str, Any]:
    import ray
    import torch

    torch.set_num_threads(1)
    texts = _texts()
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        object_store_memory=200 * 2**20,
        log_to_driver=False,
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "cryptobert"
            torch.manual_seed(0)
            _made(model, texts)
            load = os.getloadavg()[0]
            served = await _through_serve(model, texts)
            return {"load": load} | served | await _as_a_job(model, texts, Path(folder))
    finally:
        ray.shutdown()


def figures(measured: dict[str, Any]) -> list[Figure]:
    one = measured
    return [
        Figure("load of the machine before", one["load"]),
        Figure("BERT-base, direct call", one["direct_per_second"], "texts/s"),
        Figure(f"BERT-base, {CALLERS} callers through Serve", one["served_per_second"], "texts/s"),
        at_least("Serve over direct", one["served_per_second"] / one["direct_per_second"], 0.8, "times"),
        Figure("BERT-base, single text directly, p50", one["direct_p50"] * 1e3, "ms"),
        Figure("BERT-base, single text through Serve, p50", one["served_p50"] * 1e3, "ms"),
        at_most("Serve over direct, p50", one["served_p50"] / one["direct_p50"], 3, "times"),
        Figure("BERT-base, direct call beside the job", one["direct_beside_job_per_second"], "texts/s"),
        Figure(f"BERT-base, job over {JOB_TEXTS:,} stored texts", one["job_per_second"], "texts/s"),
        at_least(
            "job over direct", one["job_per_second"] / one["direct_beside_job_per_second"], 0.85, "times"
        ),
        Figure(
            "the same by processor time of all its processes",
            one["job_over_direct_by_processor_time"],
            "times",
        ),
    ]


async def _through_serve(folder: Path, texts: Sequence[str]) -> dict[str, float]:
    from ray import serve

    from ray_app.process.sentiment import transformer
    from ray_app.process.sentiment.weights import CRYPTOBERT
    from ray_app.serve.served_models import Model, ServedModels

    deployment: Any = Model
    options = {"max_ongoing_requests": 40, "ray_actor_options": {"num_cpus": 1}}
    bound = deployment.options(name="cryptobert", **options).bind("cryptobert", partial(_load, folder))
    serve.run(bound, name="models", route_prefix=None)
    served, direct = (
        ServedModels({"cryptobert": "cryptobert"}),
        transformer.load(CRYPTOBERT, folder, device="cpu"),
    )
    best = {"direct_per_second": 0.0, "served_per_second": 0.0}
    try:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            direct.score(texts)
            best["direct_per_second"] = max(
                best["direct_per_second"], len(texts) / (time.perf_counter() - began)
            )
            took = await _by_callers(served, texts)
            best["served_per_second"] = max(best["served_per_second"], len(texts) / took)
        alone: list[float] = []
        through: list[float] = []
        for text in [*texts[:SINGLES]] * ROUNDS:
            began = time.perf_counter()
            direct.score([text])
            alone.append(time.perf_counter() - began)
            began = time.perf_counter()
            await served.score("cryptobert", [text])
            through.append(time.perf_counter() - began)
    finally:
        await asyncio.to_thread(serve.shutdown)
    return best | {"direct_p50": statistics.median(alone), "served_p50": statistics.median(through)}


def _load(folder: Path, device: str) -> Any:
    from ray_app.process.sentiment import transformer
    from ray_app.process.sentiment.weights import CRYPTOBERT

    return transformer.load(CRYPTOBERT, folder, device=device)


async def _by_callers(served: Any, texts: Sequence[str]) -> float:
    """Seconds until every text has its score, each caller sending one at a time."""
    waiting = list(reversed(texts))

    async def caller() -> None:
        while waiting:
            await served.score("cryptobert", [waiting.pop()])

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return time.perf_counter() - began


async def _as_a_job(folder: Path, texts: Sequence[str], place: Path) -> dict[str, float]:
    from ray_app.model.texts import Article
    from ray_app.runtime.scoring_job import Range, score_texts
    from ray_app.runtime.scoring_pool import RayPool

    many = [f"{texts[n % len(texts)]} {n}" for n in range(JOB_TEXTS)]
    load = partial(_load, folder, "cpu")
    model = load()
    node = await _stored(many, place)
    node.models = {Article: load}
    some = many[:: JOB_TEXTS // DIRECT_TEXTS]
    seconds = [_seconds(model, some)]  # before and after, so that the machine is as busy for both
    try:
        with Spent() as spent:
            began = time.perf_counter()
            receipts = await score_texts(node, Range(), partial(RayPool, actors=1, cpus=1), "bench")
            took = time.perf_counter() - began
    finally:
        await node.close()
    verified = receipts["articles"].verified
    if not receipts["articles"].whole or verified["scored"] != JOB_TEXTS:
        raise RuntimeError(f"the job left texts: {verified}")
    seconds.append(_seconds(model, some))
    walls, processors = zip(*seconds, strict=True)
    return {
        "direct_beside_job_per_second": len(some) / statistics.mean(walls),
        "job_per_second": JOB_TEXTS / took,
        "job_over_direct_by_processor_time": (statistics.mean(processors) / len(some))
        / (spent.seconds / JOB_TEXTS),
    }


def _seconds(model: Any, texts: Sequence[str]) -> tuple[float, float]:
    """By the clock, and of processor time."""
    began, worked = time.perf_counter(), time.process_time()
    model.score(texts)
    return time.perf_counter() - began, time.process_time() - worked


async def _stored(texts: Sequence[str], place: Path) -> Any:
    """A node over a new SQLite store that holds these as articles."""
    import httpx

    from ray_app.model.clock import SystemClock
    from ray_app.model.collected import Collected
    from ray_app.model.source import Page, Slice
    from ray_app.model.symbols import load_registry
    from ray_app.model.texts import Article
    from ray_app.model.timerange import TimeRange
    from ray_app.runtime.opening import Assigned, Node
    from ray_app.sources import rss
    from ray_app.store.store import Store

    node = Node(
        store=Store(f"sqlite+aiosqlite:///{place}/node.db", str(place / "raw")),
        registry=load_registry(),
        clock=SystemClock(),
        assigned=(Assigned(source=rss.SOURCE, plan=rss.SOURCE.plans[0], base_url="https://example.org"),),
        simulated=True,
        reach=timedelta(hours=1),
        redis_url="",
        release="bench",
        http=httpx.AsyncClient(),  # nothing is asked for here
    )
    await node.store.database.prepare(simulated=True)
    lease = await node.store.leases.acquire("bench", "bench")
    assert lease is not None
    page = Page(
        source="rss", stream="articles", path="/", params={}, status=200, headers={}, body=b"bench",
        asked_at=NOW, received_at=NOW,
    )  # fmt: skip
    for at in range(0, len(texts), 1_000):
        records = [
            Article(feed="crypto/coindesk", item=str(n), at=NOW, title=texts[n])
            for n in range(at, at + 1_000)
        ]
        brought = Collected(
            source="rss", stream="articles", parser="1", outcome="covered", received_at=NOW, pages=(page,),
            slice=Slice(("crypto/coindesk",), TimeRange(NOW + timedelta(hours=at), NOW + timedelta(hours=at + 1))),
            records=tuple((one, 0) for one in records),
        )  # fmt: skip
        await node.store.commit([brought], lease)
    return node
