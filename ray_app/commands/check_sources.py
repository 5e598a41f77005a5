"""Ask the upstreams themselves: fewer than 100 calls, every answer kept in a folder, and what it says of our guesses.

For a person with a network, before the first start or when an upstream seems to have changed. Each source is
asked at its own pace and by its own parser; nothing is stored in the node's database, and the quota that a
running node has spent is not known here: stop it first where calls are dear.
"""

import asyncio
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from ray_app.collect.validate import read
from ray_app.commands.companions import Say
from ray_app.connect.addresses import address_of
from ray_app.connect.api import HttpApi
from ray_app.connect.signing import Signing, signing_for
from ray_app.model.clock import Clock
from ray_app.model.errors import NodeError, RateLimited, Refused, UpstreamError
from ray_app.model.quota import Allowance, Priority, Refusal, Turn
from ray_app.model.records import Record
from ray_app.model.source import Page, Slice
from ray_app.runtime.opening import Assigned
from ray_app.settings import PREFIX

MOST_CALLS = 99
A_TURN = timedelta(minutes=5)  # how long it is good for: nobody else takes one here


@dataclass(frozen=True, slots=True)
class Probe:
    """Calls with one purpose: a slice as the source asks for it, or (`path`) a question of our own.

    `most` calls are made. A `spare` one is left out first when there are too many.
    """

    source: str
    name: str
    stream: str
    slice: Slice | None = None
    path: str = ""
    params: Mapping[str, str | int] = field(default_factory=dict)
    most: int = 1
    spare: bool = False


@dataclass(slots=True)
class Told:
    """What came of a probe. Rows are counted over all its pages."""

    probe: Probe
    pages: list[Page] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)  # why rows could not be read
    error: str = ""


@dataclass(slots=True)
class Answers:
    """Everything that was told, for those who look for something in it."""

    told: Sequence[Told]
    plans: Mapping[str, str]  # of the sources that were asked
    token_seconds: int | None = None  # how long a bought token lasts
    calls: int = 0

    def of(self, source: str, *names: str) -> list[Told]:
        """The probes of a source, all or by name."""
        return [t for t in self.told if t.probe.source == source and (not names or t.probe.name in names)]

    def pages(self, source: str, *names: str) -> list[Page]:
        return [page for told in self.of(source, *names) for page in told.pages]


Verdict = tuple[bool | None, str]  # as assumed, otherwise, could not be told; what was seen


@dataclass(slots=True)
class Pace:
    """Turns of one upstream, evenly spaced. After a refusal for rate's sake there are no more."""

    assigned: Assigned
    clock: Clock
    _next: datetime | None = None
    _closed: bool = False

    async def turn(self, _: Priority, _before: datetime | None = None) -> Turn:
        if self._closed:
            raise RateLimited(self.assigned.source.name, "not asked again after a refusal for rate's sake")
        if self._next is not None:
            await self.clock.sleep_until(self._next)
        quota, now = self.assigned.plan.quota, self.clock.now()
        self._next = now + quota.per / quota.calls * 1.05
        return Turn(now, now + A_TURN)

    async def refused(self, _: Refusal) -> None:
        self._closed = True

    async def told(self, _: Allowance) -> None:
        pass


def within(probes: Sequence[Probe], most: int) -> tuple[list[Probe], int]:
    """The probes without as many spare ones, the last first, as it takes; and their calls."""
    kept, calls = list(probes), sum(probe.most for probe in probes)
    for probe in [p for p in reversed(probes) if p.spare]:
        if calls > most:
            kept.remove(probe)
            calls -= probe.most
    if calls > most:
        raise ValueError(f"{calls} calls are planned, {most} are the most")
    return kept, calls


class Checking:
    """One check of the configured sources; files go to `folder`."""

    def __init__(
        self,
        assigned: Iterable[Assigned],
        clock: Clock,
        http: httpx.AsyncClient,
        folder: Path,
        simulated: bool,
    ) -> None:
        self._assigned = {a.source.name: a for a in assigned if not a.missing}
        self._clock, self._http, self._folder, self._simulated = clock, http, folder, simulated
        self._paces = {name: Pace(a, clock) for name, a in self._assigned.items()}
        self._signing = {name: self._signs(a) for name, a in self._assigned.items()}
        self._calls, self._files = 0, 0
        self._token_seconds: int | None = None
        http.event_hooks = {"request": [self._count], "response": [self._watch]}

    async def run(self, probes: Sequence[Probe]) -> Answers:
        """Sources side by side, the probes of each in order."""
        self._folder.mkdir(parents=True)
        by_source = [[p for p in probes if p.source == name] for name in self._assigned]
        told = await asyncio.gather(*(self._all(own) for own in by_source))
        plans = {name: a.plan.name for name, a in self._assigned.items()}
        return Answers([t for own in told for t in own], plans, self._token_seconds, self._calls)

    async def _all(self, probes: Sequence[Probe]) -> list[Told]:
        return [await self._ask(probe) for probe in probes]

    async def _ask(self, probe: Probe) -> Told:
        told, assigned = Told(probe), self._assigned[probe.source]
        stream = next(s for s in assigned.plan.streams if s.name == probe.stream)
        api = HttpApi(
            source=assigned.source, plan=assigned.plan, stream=replace(stream, attempts=1),
            priority=Priority.BACKFILL, turns=self._paces[probe.source], clock=self._clock,
            keep=partial(self._keep, told), http=self._http, base_url=assigned.base_url,
            simulated=self._simulated, signing=self._signing[probe.source], headers=assigned.headers,
        )  # fmt: skip
        try:
            if probe.slice is None:
                await api.get(probe.path, **probe.params)
            else:
                async for _ in stream.fetch(api, probe.slice):
                    if len(told.pages) >= probe.most:
                        break
                for page in told.pages:
                    found = read(stream, page, probe.slice)
                    told.records += found.records
                    told.aside += [row.reason for row in found.set_aside]
        except NodeError as error:
            detail = error.detail if isinstance(error, UpstreamError) else str(error)
            told.error = f"{type(error).__name__}: {detail}"
        return told

    def _signs(self, assigned: Assigned) -> Signing:
        address = partial(address_of, assigned.plan, assigned.base_url, simulated=self._simulated)
        agent = assigned.headers.get("user-agent", "")
        name = assigned.source.name
        return signing_for(assigned.plan, name, assigned.secrets, address, self._http, self._clock, agent)

    async def _keep(self, told: Told, page: Page) -> None:
        """One answer as two files: status, headers and request without secrets; the body as it came."""
        told.pages.append(page)
        self._files += 1
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", f"{told.probe.source}-{told.probe.name}")
        path = self._folder / f"{self._files:02d}-{slug}"
        envelope = json.dumps(page.envelope(), indent=2) + "\n"
        await asyncio.to_thread(path.with_name(f"{path.name}.json").write_text, envelope)
        await asyncio.to_thread(path.with_name(f"{path.name}.body").write_bytes, page.body)

    async def _count(self, _: httpx.Request) -> None:
        """Every request, a bought token and each redirect too."""
        if self._calls >= MOST_CALLS:
            raise Refused("check", f"{MOST_CALLS} calls are spent")
        self._calls += 1

    async def _watch(self, answer: httpx.Response) -> None:
        """Of an answer that sells a token only its life is kept."""
        if answer.request.method == "POST" and answer.status_code == httpx.codes.OK:
            told: Any = json.loads(await answer.aread())
            lasts = told.get("expires_in") if isinstance(told, dict) else None
            self._token_seconds = lasts if isinstance(lasts, int) else None


def before(
    assigned: Sequence[Assigned], probes: Sequence[Probe], calls: int, simulated: bool, say: Say
) -> None:
    """Say what is going to be asked, what is not, how long it takes and what it costs."""
    asked = {
        a.source.name: [p for p in probes if p.source == a.source.name] for a in assigned if not a.missing
    }
    slow = {
        a.source.name: sum(p.most for p in asked[a.source.name]) * (a.plan.quota.per / a.plan.quota.calls)
        for a in assigned
        if not a.missing
    }
    to_whom = "simulated upstreams" if simulated else "real upstreams"
    say(f"{calls} calls to {len(asked)} {to_whom}, never more than {MOST_CALLS}: {counted(asked)}")
    for a in assigned:
        if a.missing:
            say(f"{a.source.name} is not configured and not asked: set {PREFIX}{a.missing.upper()}")
        elif a.plan.dollars_per_call:
            cost = a.plan.dollars_per_call * sum(p.most for p in asked[a.source.name])
            say(f"{a.source.name} charges for it: ${cost} at the most")
    if slow:
        name = max(slow, key=lambda n: slow[n])
        say(
            f"it takes {slow[name].total_seconds() / 60:.0f} minutes, the time that {name} wants between calls"
        )


def counted(asked: Mapping[str, Sequence[Probe]]) -> str:
    return ", ".join(f"{name} {sum(p.most for p in own)}" for name, own in asked.items())


def report(
    answers: Answers, judged: Sequence[tuple[str, str, Verdict]], simulated: bool, at: datetime
) -> str:
    """What each probe brought and what it says of each point: (source, what we assume, verdict)."""
    who = "SIMULATED upstreams: this says nothing about the real ones" if simulated else "the real upstreams"
    lines = [f"Check of the sources, {at.isoformat(timespec='seconds')}, {answers.calls} calls, {who}", ""]
    words = {True: "as assumed", False: "OTHERWISE", None: "could not be told"}
    for outcome in (False, None, True):
        found = [one for one in judged if one[2][0] is outcome]
        lines += [f"{words[outcome]}: {len(found)}"]
        lines += [f"  {source}: {assumed}\n      {seen}" for source, assumed, (_, seen) in found] + [""]
    lines.append("answers")
    for told in answers.told:
        statuses = " ".join(str(page.status) for page in told.pages) or "none"
        kinds = {page.headers.get("content-type", "no type").partition(";")[0] for page in told.pages}
        marks = {name for page in told.pages for name in ("etag", "last-modified") if name in page.headers}
        read_as = f"{len(told.records)} records" if told.probe.slice else "not for reading"
        aside = f", {len(told.aside)} rows unreadable ({told.aside[0]})" if told.aside else ""
        error = f"; {told.error}" if told.error else ""
        about = ", ".join([statuses, *sorted(kinds), *sorted(marks)])
        lines.append(f"  {told.probe.source} {told.probe.name}: {about}; {read_as}{aside}{error}")
    return "\n".join(lines) + "\n"
