"""Every parser of every source under bad input: it gives records or one of the reactions, nothing else.

The bodies to spoil are the approved answers in the folders of the sources, so a new source is covered as soon
as it has one.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ray_app.collect.collector import collect
from ray_app.collect.validate import read
from ray_app.connect.judge import judge
from ray_app.model.errors import Malformed, UpstreamError
from ray_app.model.source import Page, Slice, Source, Stream
from ray_app.model.timerange import TimeRange
from ray_app.sources import all_sources
from tests.sources.replies import page

STATUSES = (200, 200, 200, 301, 304, 400, 401, 402, 403, 404, 410, 418, 429, 451, 500, 503, 999)
HOSTILE: tuple[Any, ...] = (
    None, True, False, "", "0", "-1", "NaN", "Infinity", "1e400", "\x00", "\ud800", "9" * 400, "<b>", "2026-13-45",
    0, -1, -0.0, 1e300, 1e-300, 10**18, 10**30, -(10**15), 253402300800, 253402300800000, [], {}, [[]], [None],
    {"": None}, [1, 2, 3], {"error": {}}, {"data": []},
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    source: Source
    stream: Stream
    wanted: Slice
    body: bytes
    path: str


def cases() -> Iterator[tuple[str, Case]]:
    for path in sorted(Path(__file__).parent.glob("*/*.json")):
        told = json.loads(path.read_text())
        source = all_sources()[path.parent.name]
        (stream,) = [s for s in source.plan(told["plan"]).streams if s.name == told["stream"]]
        asked, start = told["asked"], datetime.fromisoformat(told["asked"]["start"])
        wanted = Slice(tuple(asked["partitions"]), TimeRange(start, datetime.fromisoformat(asked["end"])))
        yield (
            f"{source.name}-{path.stem}",
            Case(source, stream, wanted, told["body"].encode(), told["request"]["path"]),
        )


CASES = dict(cases())
each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
fuzzed = settings(max_examples=15, suppress_health_check=list(HealthCheck))


@st.composite
def spoilt(draw: st.DrawFn, body: bytes) -> bytes:
    """The body with some bytes gone, doubled or replaced, or, if it is JSON, with values replaced."""
    if draw(st.booleans()):
        try:
            return json.dumps(_replaced(draw, json.loads(body))).encode()
        except ValueError:
            pass
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.integers(0, 40)))
        new = draw(
            st.one_of(
                st.binary(max_size=8), st.sampled_from([b"", b"<", b"]", b"&", b"\xff", body[start:end] * 2])
            )
        )
        body = body[:start] + new + body[end:]
    return body[: draw(st.integers(0, len(body)))] if draw(st.integers(0, 4)) == 0 else body


def _replaced(draw: st.DrawFn, told: Any) -> Any:
    """The same JSON with the values at one to five places, at any depth, replaced, doubled or left out."""
    for _ in range(draw(st.integers(1, 5))):
        at = told
        while isinstance(at, (dict, list)) and at:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            key = draw(st.sampled_from(keys))
            inner = at[key]
            if isinstance(inner, (dict, list)) and inner and draw(st.integers(0, 5)):
                at = inner
                continue
            change = draw(st.integers(0, 9))
            if change == 0:
                del at[key]
            elif change == 1 and isinstance(at, list):
                at.insert(key, inner)
            else:
                at[key] = deepcopy(draw(st.sampled_from(HOSTILE)))
            break
    return told


def reacts(case: Case, body: bytes) -> None:
    """Read it; whatever is not a record or a reaction fails the test."""
    answer = page(body, path=case.path, at=case.wanted.range.end)
    try:
        found = read(case.stream, answer, case.wanted)
    except UpstreamError:
        return
    assert found.rows == len(found.records) + len(found.set_aside) + found.left_out + found.without_value
    for record in found.records:
        assert type(record) is case.stream.record
        assert record.partition in case.wanted.partitions
        assert record.cursor.tzinfo is UTC
        record.model_dump_json().encode()


@each_case
def test_a_spoilt_answer_gives_records_or_a_reaction(case: Case):
    @fuzzed
    @given(spoilt(case.body))
    def check(body: bytes) -> None:
        reacts(case, body)

    check()


@each_case
def test_anything_at_all_gives_records_or_a_reaction(case: Case):
    leaf = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=5), st.integers(), st.floats())
    anything = st.recursive(
        leaf, lambda s: st.lists(s, max_size=4) | st.dictionaries(st.text(max_size=5), s, max_size=4)
    )

    @fuzzed
    @given(st.one_of(st.binary(max_size=200), anything.map(lambda told: json.dumps(told).encode())))
    def check(body: bytes) -> None:
        reacts(case, body)

    check()


@each_case
def test_asking_and_judging_end_in_records_or_a_reaction(case: Case):
    """With every page spoilt in its own way, whatever status it claims to have: also what pages, and what judges."""

    class Spoilt:
        def __init__(self, pages: list[Page]) -> None:
            self.pages = pages
            self.asked = 0

        async def get(self, path: str, **params: str | int) -> Page:
            self.asked += 1
            assert self.asked < 200, "it pages for ever"
            answer = self.pages[min(self.asked, len(self.pages)) - 1]
            judge(case.source, answer)
            return answer

    @fuzzed
    @given(st.lists(st.tuples(spoilt(case.body), st.sampled_from(STATUSES)), min_size=1, max_size=3))
    def check(answers: list[tuple[bytes, int]]) -> None:
        pages = [page(body, status, case.path, case.wanted.range.end) for body, status in answers]
        awaited = collect(case.source, case.stream, case.wanted, Spoilt(pages))
        try:
            awaited.send(None)
        except (UpstreamError, StopIteration):
            return
        finally:
            awaited.close()

    check()


@each_case
def test_a_page_is_cut_and_asked_about_or_refused(case: Case):
    """What looks again whether texts are still there reads pages as bad as any."""
    recheck = case.stream.recheck
    if recheck is None:
        return

    @fuzzed
    @given(spoilt(case.body))
    def check(body: bytes) -> None:
        try:
            names = frozenset(recheck.present(page(body, path=case.path)))
        except UpstreamError:
            return
        assert all(isinstance(name, str) for name in names)
        assert frozenset(recheck.present(page(recheck.redact(body, names), path=case.path))) <= names

    check()


def test_a_number_too_long_to_count_is_no_number():
    """1e999999999999 is a Decimal of 14 letters; as an integer it would fill the memory."""
    for number in ("1e999999999999", "-1E+99999999", "1e-999999999999"):
        with pytest.raises(Malformed):
            page(f'{{"a": {number}}}'.encode()).json()
