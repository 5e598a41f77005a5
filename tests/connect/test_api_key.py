import logging
import shutil
import traceback
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard

from ray_app.collect.collector import collect, failure
from ray_app.model.clock import SystemClock
from ray_app.model.errors import (
    Malformed,
    Refused,
    Transient,
    UpstreamError,
)
from ray_app.model.source import Slice
from ray_app.model.timerange import TimeRange
from ray_app.sources.coingecko import PRICES, SOURCE
from ray_app.store.store import Store
from tests.connect.conftest import (
    START,
    Answering,
    Ask,
    Simulate,
    http_answer,
    markets,
)


async def test_a_redirect_is_not_followed(asking: Ask, answering: Answering):
    """The key would go along, to wherever it leads."""
    seen: list[bytes] = []

    def answer(request: bytes) -> bytes:
        seen.append(request)
        return http_answer(b"", "302 Found", location="http://127.0.0.1:9/elsewhere", x_simulated="yes")

    with pytest.raises(Malformed, match="HTTP 302"):
        await markets(asking(await answering(answer)))
    assert len(seen) == 1


PLANTED = "CG-planted-5ecret-9f8e7d6c"


async def test_the_key_reaches_the_upstream_and_nobody_else(
    simulate: Simulate,
    asking: Ask,
    answering: Answering,
    tmp_path: Path,
    prepared_sqlite: Path,
    caplog: pytest.LogCaptureFixture,
):
    """Good answers, refusals, broken connections, and an upstream that repeats the key in its error."""
    caplog.set_level(logging.DEBUG)
    simulated = simulate(keys={PLANTED: "analyst"}, limits=False)
    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
    lease = await store.leases.acquire("shard", "me")
    assert lease is not None
    wanted = Slice(("bitcoin",), TimeRange(START - timedelta(minutes=3, seconds=21), START))
    errors: list[BaseException] = []

    def repeats(request: bytes) -> bytes:
        assert PLANTED.encode() in request
        body = b'{"error": "detected your API key as ' + PLANTED.encode() + b'"}'
        return http_answer(body, "403 Forbidden", x_simulated="yes")

    repeating = await answering(repeats)
    for fault, address in (
        ("", simulated.paid),
        ("F08", simulated.paid),
        ("F11", simulated.paid),
        ("", repeating),
    ):
        simulated.heal()
        if fault:
            simulated.fault(fault, kind="reset")
        asked = asking(address, key=PLANTED, keep=store.raw.keep, attempts=1)
        try:
            await store.commit([await collect(SOURCE, PRICES, wanted, asked.api)], lease)
        except UpstreamError as error:
            errors.append(error)
            await store.commit([failure(SOURCE, PRICES, wanted, error, SystemClock().now())], lease)
        assert PLANTED not in repr(asked.api)
    await store.close()
    assert [type(error) for error in errors] == [Refused, Transient, Refused]
    assert [arrival["key"] for arrival in simulated.ledger()] == ["key-1"] * 3
    assert sorted(page.status for page in store.raw.pages()) == [200, 401, 403]

    told = [caplog.text, *("".join(traceback.format_exception(error)) for error in errors)]
    assert not [text for text in told if PLANTED in text]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]  # noqa: ASYNC240  # nobody waits
    assert len(files) >= 8
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".zst":
            content = zstandard.decompress(content)
        assert PLANTED.encode() not in content, path
        assert PLANTED not in str(path)


async def test_a_key_that_the_upstream_repeats_is_struck_out(asking: Ask, answering: Answering):
    body = f'{{"error": "detected your API key as {PLANTED}"}}'.encode()
    address = await answering(
        lambda _: http_answer(body, "403 Forbidden", x_simulated="yes", x_ratelimit_note=f"for {PLANTED}")
    )
    asked = asking(address, key=PLANTED)
    with pytest.raises(Refused, match=r"detected your API key as \[key\]"):
        await markets(asked)
    (page,) = asked.kept
    assert page.body == b'{"error": "detected your API key as [key]"}'
    assert page.headers["x-ratelimit-note"] == "for [key]"


async def test_the_client_says_honestly_who_it_is(asking: Ask, answering: Answering):
    seen: list[bytes] = []

    def answer(request: bytes) -> bytes:
        seen.append(request.lower())
        return http_answer(b"[]", x_simulated="yes")

    await markets(asking(await answering(answer)))
    assert b"user-agent: crypto-data-node/" in seen[0]
    assert b"x-cg-pro-api-key: sim-key" in seen[0]
    assert b"get /coins/markets?vs_currency=usd&ids=bitcoin http/1.1" in seen[0]


async def test_a_plan_without_a_key_sends_none(simulate: Simulate, asking: Ask):
    simulated = simulate("keyless", limits=False)
    page = await markets(asking(simulated.public, plan=SOURCE.plan("keyless"), key=None))
    assert page.status == 200
    assert simulated.ledger()[0]["plan"] == "keyless"
