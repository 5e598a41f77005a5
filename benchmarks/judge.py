"""Was a rate limit kept? Told from the arrivals at the upstream alone, whatever the sender believes.

The window is strict and rolls: for every arrival, all arrivals of the last `window_ms` count, refused ones
too. One that is exactly a window old counts no more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request at the upstream: milliseconds of its clock, and the status it was answered with."""

    at_ms: int
    status: int | None


@dataclass(frozen=True, slots=True)
class Judged:
    """What the arrivals say. `margin_ms`: how much closer limit + 1 in a row may come before they break it."""

    calls: int
    refused: int  # answered 429
    windows: float  # length from first to last arrival, pauses left out
    used: float  # part of what the limit allows in that length
    fullest: int  # the most arrivals in any window
    margin_ms: int | None  # None: never more than `limit` arrivals


def judge(
    arrivals: Sequence[Arrival], limit: int, window_ms: int = MINUTE_MS, paused_ms: float = 0.0
) -> Judged:
    """Judge arrivals in order of time. `paused_ms` is left out of the allowance, not of the windows.

    Raises ValueError: fewer than two arrivals, or not in order.
    """
    times = [arrival.at_ms for arrival in arrivals]
    if len(times) < 2 or times != sorted(times):
        raise ValueError(f"{len(times)} arrivals in order are needed to judge a pace")
    windows = (times[-1] - times[0] - paused_ms) / window_ms
    tightest = min((last - first for first, last in zip(times, times[limit:], strict=False)), default=None)
    return Judged(
        calls=len(times),
        refused=sum(arrival.status == 429 for arrival in arrivals),
        windows=round(windows, 3),
        used=round((len(times) - 1) / (limit * windows), 4) if windows > 0 else float("inf"),
        fullest=fullest(times, window_ms),
        margin_ms=None if tightest is None else tightest - window_ms,
    )


def fullest(times: Sequence[int], window_ms: int = MINUTE_MS) -> int:
    """The most arrivals in any window (t - window, t]."""
    first, most = 0, 0
    for at, time in enumerate(times):
        while times[first] <= time - window_ms:
            first += 1
        most = max(most, at - first + 1)
    return most


def downtime(
    arrivals: Sequence[Arrival], killed_ms: int, gap_ms: float, look_ms: int = 2 * MINUTE_MS
) -> float:
    """Milliseconds from a kill to the first send after it that are more than the pace's own gap.

    What was under way at the kill may still arrive, so it is the longest pause around or soon after the kill
    that counts; one of up to two gaps is none. Raises ValueError: nothing arrived after the kill.
    """
    pauses = [
        (later.at_ms - earlier.at_ms, later.at_ms)
        for earlier, later in pairwise(arrivals)
        if killed_ms <= later.at_ms and earlier.at_ms <= killed_ms + look_ms
    ]
    if not pauses:
        raise ValueError("nothing arrived after the kill")
    longest, resumed = max(pauses, key=lambda pause: pause[0])
    return max(0.0, resumed - killed_ms - gap_ms) if longest > 2 * gap_ms else 0.0
