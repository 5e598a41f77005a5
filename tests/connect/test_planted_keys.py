"""Planted keys, from the settings to the store: an upstream that repeats them everywhere, and a search for them.

The search covers all log output, the raw folder (unpacked), the database file, the errors and the status.
"""

import base64
import html
import json
import logging
import shutil
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
import zstandard

from ray_app.collect.running import Running
from ray_app.connect.addresses import address_of
from ray_app.connect.api import HttpApi, Validators, client
from ray_app.connect.signing import signing_for
from ray_app.model.clock import ManualClock
from ray_app.model.quota import Priority
from ray_app.model.source import ApiKey, ClientCredentials, Plan, Stream
from ray_app.model.timerange import TimeRange
from ray_app.observe.log import Lines
from ray_app.store.store import Store
from tests.collect.conftest import Books
from tests.connect.conftest import Counted
from tests.connect.served import NEWS, PLAN, SOURCE, Seen, article, served, told

T0 = datetime(2026, 6, 1, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
KEY, ID, SECRET, TOKEN = "Pl/nted+key= 1&ä", "planted-id", "Pl/nted+secret=2", "planted-token-3"
PLANS: dict[str, tuple[Plan, tuple[str, ...]]] = {
    "header": (replace(PLAN, auth=ApiKey("x", header="x-key", prefix="Token ")), (KEY.replace("ä", "a"),)),
    "query": (replace(PLAN, auth=ApiKey("x", param="api_key")), (KEY,)),
    "token": (
        replace(PLAN, auth=ClientCredentials("i", "s", "https://www.example.com/token")), (ID, SECRET),
    ),
}  # fmt: skip


def forms(secret: str) -> set[str]:
    """How a text may repeat it."""
    quoted = {quote(secret), quote_plus(secret), quote(secret, safe="")}
    return {
        secret, html.escape(secret), json.dumps(secret)[1:-1], *quoted, *(q.lower() for q in quoted if "%" in q),
    }  # fmt: skip


def echo(seen: Seen) -> str:
    """All that came with the request."""
    return " ".join([seen.target, *seen.headers.values(), *seen.query.values()])


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Everything that any logger says, from DEBUG on, as our own formatter writes it."""
    caplog.set_level(logging.DEBUG)
    return lambda: "\n".join([caplog.text, *(Lines().format(record) for record in caplog.records)])


@pytest.mark.parametrize("kind", PLANS)
async def test_a_secret_is_in_the_requests_and_nowhere_else(
    tmp_path: Path,
    prepared_sqlite: Path,
    log: Callable[[], str],
    kind: str,
    capfd: pytest.CaptureFixture[str],
):
    plan, secrets = PLANS[kind]
    planted = set().union(*(forms(s) for s in (*secrets[-1:], *[TOKEN] * (kind == "token"))))
    planted.add(base64.b64encode(f"{ID}:{SECRET}".encode()).decode())
    spoken: list[str] = []
    answered: list[Seen] = []

    def answer(seen: Seen) -> bytes:
        spoken.append(echo(seen))
        if seen.path == "/example-www/token":
            return told(json.dumps({"access_token": TOKEN, "expires_in": 3600}).encode())
        said = " ".join(
            [echo(seen), *secrets[-1:], quote(secrets[-1], safe=""), TOKEN, html.escape(secrets[-1])]
        )
        row = json.dumps([{"id": "1", "title": said}]).encode()
        headers = {
            "etag": f'"{quote(said)}"',
            "x_ratelimit_note": quote(said),
            "location": f"/x?{quote(said)}",
        }
        answered.append(seen)
        turn = len(answered) % 8
        if turn == 1:
            return told(row, "403 Forbidden", **headers)
        if turn == 2:
            return told(f"<html>{said}</html>".encode(), **headers)  # Malformed, quoting its beginning
        if turn == 3:
            return told(
                json.dumps([{"id": "2", "title": said}, {"id": said, "row": said}]).encode(), **headers
            )  # set aside
        if turn == 4:
            return b"HTTP/1.1 200 " + quote(said).encode() + b"\r\nbroken header line\r\n\r\n"
        if turn == 5:
            return told(said.encode(), "302 Found", **headers)
        if turn == 6:
            return told(json.dumps({"error": said}).encode(), "429 Too Many Requests", **headers)
        if turn == 7:
            return told(row, "500 x", **headers)
        return told(row, **headers)  # a good one: its title repeats the key

    shutil.copy(prepared_sqlite, tmp_path / "node.db")
    store = Store(f"sqlite+aiosqlite:///{tmp_path}/node.db", str(tmp_path / "raw"))
    lease = await store.leases.acquire("shard", "me")
    assert lease is not None
    http, clock, validators = client(), ManualClock(T0), Validators()
    source = replace(SOURCE, plans=(plan,), follows=True)
    stream = replace(
        NEWS, partitions=lambda _: ("a",), parse=article, independent=True, conditional=True, attempts=1
    )
    errors: list[Exception] = []
    shown: list[str] = []
    async with served(answer) as server:
        base = server.base + plan.simulated_at
        address = partial(address_of, plan, base, simulated=True)
        signing = signing_for(plan, source.name, secrets, address, http, clock)

        def api(stream: Stream, priority: Priority, before: datetime | None) -> HttpApi:
            made = HttpApi(
                source=source, plan=plan, stream=stream, priority=priority, before=before, turns=Counted(clock),
                clock=clock, keep=store.raw.keep, http=http, base_url=base, simulated=True, signing=signing,
                validators=validators,
            )  # fmt: skip
            shown.append(repr(made))
            return made

        books = Books(store, lease)
        running = Running(
            source=source, stream=stream, partitions=("a",), books=books, api=api, clock=clock, reach=QUARTER,
            since=T0,
        )  # fmt: skip
        note = running._note

        def noting(error: Exception) -> None:
            errors.append(error)
            note(error)

        running._filling.note = noting
        for n in range(20):
            clock.set(T0 + n * 50 * QUARTER)
            await running.cycle()
    await http.aclose()
    shown += [repr(books.reports), repr(running.status)]
    facts = await store.reading.count(stream.record, running.name)
    aside = await store.received.set_aside(running.name, TimeRange(T0, T0 + timedelta(days=365)))
    await store.close()

    # Everything did happen, and the secrets were there to be found.
    assert any(form in text for text in spoken for form in planted)
    kinds = {type(error).__name__ for error in errors}
    assert {"Refused", "Malformed", "Transient"} <= kinds
    assert facts >= 1
    assert aside
    assert len(list(store.raw.pages())) >= 16

    searched = {"log": log(), "out": "".join(capfd.readouterr()), "shown": "\n".join(shown)}
    searched |= {f"error {n}": "".join(traceback.format_exception(e)) for n, e in enumerate(errors)}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]  # noqa: ASYNC240  # nobody waits
    assert {path.suffix for path in files} >= {".db", ".zst", ".json"}
    for path in files:
        content = path.read_bytes()
        content = zstandard.decompress(content) if path.suffix == ".zst" else content
        searched[str(path)] = content.decode("utf-8", "replace")
    for place, words in searched.items():
        assert [form for form in planted if form in words or form in place] == [], place
    assert "[key]" in "".join(searched.values())


def test_the_search_would_find_them():
    """A search that finds nothing must be able to find something."""
    assert {KEY, quote(KEY), quote_plus(KEY), html.escape(KEY)} <= forms(KEY)
    seen = Seen("GET", f"/x?api_key={quote_plus(KEY)}", {"a": "1"}, b"")
    assert KEY in echo(seen)
    assert quote_plus(KEY) in echo(seen)
