"""A store in which every metric of the gateway has something to tell, and the servers that watch it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import uvicorn
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ray_app.model.clock import SystemClock
from ray_app.model.source import Quota
from ray_app.model.texts import Article
from ray_app.monitoring.written import groups
from ray_app.sources import rss
from ray_app.store.scored import Scorer, Verdict
from tests.monitoring.recorded import FILES
from tests.serve.conftest import Running, at
from tests.serve.filling import COINS, DAY, flat
from tests.serve.sources import declared, had
from tests.server_process import Process, free_port, program

EXAMPLES = Path(__file__).parents[2] / "kuberay" / "monitoring"
SET, SCORER = "5" * 64, Scorer("news-model", "a" * 64)
NOW = at(hours=2, minutes=3)
PRICES = {"bitcoin": "1", "ethereum": "2", "solana": "3"}


async def report(node: Running, name: str, **more: Any) -> None:
    """A collector that waits for a run that is far away."""
    line: dict[str, Any] = {
        "state": "waiting", "last_run": NOW, "last_success": NOW, "next_run": at(hours=3),
        "last_error": "", "last_error_at": None, "errors": {"Transient": 1},
    }  # fmt: skip
    await node.store.catalog.report(f"coingecko.{name}", "tests", line | more)


async def everything(node: Running) -> None:
    """All is well at NOW: data sets, quotas, money, scores of two months, features, a backup."""
    store, lease = node.store, node.fill.lease
    await node.fill.declare()
    await node.fill.prices(at(hours=2), PRICES)
    await node.fill.rates(at(hours=1), {"usd": "1", "eur": "2", "btc": "1", "jpy": "3"})
    for coin in COINS:
        await node.fill.bars(coin, at(hours=-3), [flat("1")] * 4, at(hours=1, minutes=20))
    for name in ("prices", "exchange_rates", "bars_1h"):
        await report(node, name)
    await store.quotas.declare("coingecko-demo", Quota(30, timedelta(minutes=1), 10_000), at())
    await store.quotas.reserve("coingecko-demo", 12, at(hours=1), 1.0)
    await store.llm_spend.declare("llm-chat", 5 * 10**9, at())
    await store.vectors.declare(SET, ["rsi_14"], at, 0, lease)
    await store.vectors.publish_skew(
        SET, {"checked_at": at().isoformat(), "rows": 24, "differing": 0, "largest": 0.0}
    )
    await store.catalog.report_scoring("articles", lease, NOW)
    await store.folder.mark_backup(SystemClock().now())
    await declared(node, rss.SOURCE, ["articles"])
    for name, days in (("new", 0), ("old", 3)):
        times = [NOW - days * DAY - timedelta(minutes=1 + n) for n in range(100)]
        texts = [
            Article(feed="crypto/coindesk", item=f"{name}{n}", at=one, published=one, title=f"Text {n}")
            for n, one in enumerate(times)
        ]
        await had(node, rss.SOURCE, "articles", texts, NOW)
    await store.scores.configure(Article, SCORER, lambda: NOW, lease)
    found = await store.scores.unscored(Article, ["rss.articles"], SCORER.digest, 1000)
    sure, unsure = Decimal("0.8"), Decimal("0.1")
    up = Verdict(sure - unsure, "bullish", sure, unsure, unsure, sure, None)
    down = Verdict(unsure - sure, "bearish", sure, sure, unsure, unsure, None)
    made = [(text, up if n % 2 else down) for n, text in enumerate(found)]
    await store.scores.write(Article, made, SCORER, lambda: NOW, lease)
    node.clock.set(NOW)


class Beside:
    """What is not the gateway: Ray's exporter as it was recorded, and somebody who is told of alerts."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.later = False  # which of the two recorded scrapes is told
        self.app = Starlette(
            routes=[Route("/metrics", self._ray), Route("/{who}", self._hook, methods=["POST"])]
        )

    async def _ray(self, request: Request) -> Response:
        return PlainTextResponse(FILES[self.later].read_text())

    async def _hook(self, request: Request) -> Response:
        for alert in json.loads(await request.body())["alerts"]:
            self.told.append((request.path_params["who"], alert))
        return Response()


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[int]:
    """An ASGI application on a port of this machine; its lifespan is the caller's."""
    port = free_port()
    config = uvicorn.Config(app, host="127.0.0.1", port=port, lifespan="off", log_level="warning", ws="none")
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # it has nothing else to wait for
        await asyncio.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = True
        await task


class Watched:
    """Prometheus and Alertmanager with the examples' configuration, scraping every second."""

    def __init__(self, folder: Path, key: str, gateway: int, beside: int) -> None:
        self.port, alerts = free_port(), free_port()
        (folder / "crypto-data.key").write_text(key)
        targets = [{"targets": [f"127.0.0.1:{beside}"], "labels": {"job": "ray"}}]
        (folder / "ray-targets.json").write_text(json.dumps(targets))
        rules = {"groups": groups()}
        for group in rules["groups"]:
            for rule in group["rules"]:
                rule["for"] = "0s"  # the drill has no quarter of an hour
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
        text = (EXAMPLES / "prometheus.yaml").read_text()
        for before, after in (
            ("127.0.0.1:8000", f"127.0.0.1:{gateway}"), ("127.0.0.1:9093", f"127.0.0.1:{alerts}"),
            ("_interval: 30s", "_interval: 2s"), ("scrape_timeout: 20s", "scrape_timeout: 2s"),
        ):  # fmt: skip
            assert before in text
            text = text.replace(before, after)
        (folder / "prometheus.yaml").write_text(text)
        text = (EXAMPLES / "alertmanager.yaml").read_text().replace("127.0.0.1:9095", f"127.0.0.1:{beside}")
        text = text.replace("group_wait: 30s", "group_wait: 0s").replace("group_wait: 5s", "group_wait: 0s")
        (folder / "alertmanager.yaml").write_text(text.replace("group_interval: 5m", "group_interval: 1s"))
        self._processes = [
            Process(
                "alertmanager",
                [
                    program("prometheus-alertmanager", "alertmanager"),
                    f"--config.file={folder / 'alertmanager.yaml'}",
                    f"--storage.path={folder / 'alertmanager'}",
                    f"--web.listen-address=127.0.0.1:{alerts}",
                    "--cluster.listen-address=",
                ],
                folder / "alertmanager.log",
                lambda: _ready(alerts),
            ),
            Process(
                "prometheus",
                [
                    program("prometheus"),
                    f"--config.file={folder / 'prometheus.yaml'}",
                    f"--storage.tsdb.path={folder / 'prometheus'}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                ],
                folder / "prometheus.log",
                lambda: _ready(self.port),
            ),
        ]

    async def __aenter__(self) -> "Watched":
        for process in self._processes:
            await asyncio.to_thread(process.start)
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        for process in reversed(self._processes):
            await asyncio.to_thread(process.stop)

    async def query(self, expr: str) -> list[dict[str, Any]]:
        """The samples now; what is not a number counts as none."""
        answer = await self._http.get("/api/v1/query", params={"query": expr})
        assert answer.status_code == 200, f"{expr}: {answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return [one for one in found if one["value"][1] != "NaN"]

    async def firing(self) -> set[tuple[str, str]]:
        """(alert, data set) of all that fire."""
        answer = (await self._http.get("/api/v1/alerts")).json()["data"]["alerts"]
        return {(one["labels"]["alertname"], one["labels"].get("dataset", "")) for one in answer}


def _ready(port: int) -> None:
    httpx.get(f"http://127.0.0.1:{port}/-/ready").raise_for_status()
