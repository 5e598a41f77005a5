"""What a soak must show: every due interval accounted for, facts as without faults, no quota exceeded."""

from datetime import datetime, timedelta
from decimal import Decimal

from tests.soak.account import Account, Place

SOON = timedelta(hours=4)  # twice the longest time between looks at texts


def differences(calm: Account, stormy: Account, moment: frozenset[str], quiet: frozenset[str]) -> list[str]:
    """Facts that differ between a run without faults and one with, outside of what is marked lost.

    Streams of the `moment` tell only the present, or tell the last days anew: there a fact must be there, but
    its value is of the moment in which it was asked for. `quiet` streams may have nothing to tell: there a page
    that tells nothing, or an old listing, is believed. What a page told otherwise is left out, if it is so.
    """
    out = []
    for place, values in calm.facts.items():
        stream, partition, key = place
        if place in stormy.facts:
            if "True" in (values.get("deleted"), stormy.facts[place].get("deleted")):
                continue  # gone upstream; when that is noticed depends on when it was asked
            if stream in moment or stormy.facts[place] == values or explained(calm, stormy, place):
                continue
            if calm.versions.get(place) != stormy.versions.get(place):
                continue  # its author changed it; which version is the last depends on when it was listed last
            fault = stormy.told_by.get(place, "no fault")
            out.append(f"{stream} {partition} {key} ({fault}): {values} became {stormy.facts[place]}")
        elif not (
            _lost(calm, stormy, place)
            or _to_come(calm, stormy, place)
            or (stream in quiet and _hidden(calm, stormy, place))
            or _changed_meanwhile(calm, stormy, place, calm.cursors[place])
        ):
            out.append(f"{stream} {partition} {key}: missing, and not marked lost")
    more = stormy.facts.keys() - calm.facts.keys()
    out += [
        f"{' '.join(place)}: there only with faults"
        for place in sorted(more)
        if not (
            _lost(stormy, calm, place) or _to_come(stormy, calm, place) or _room_was_made(calm, stormy, place)
        )
    ]
    return out


def explained(calm: Account, stormy: Account, place: Place) -> bool:
    """Whether a fault that tells otherwise made the difference, and what is kept shows it.

    F12: only nulls differ. F16: the value is a correction of one that is kept too, or the first that was told.
    F20: the fact itself says how old it is, or it is a candle that was not over then: within the right one.
    """
    fault, right, kept = stormy.told_by.get(place), calm.facts[place], stormy.facts[place]
    differing = {name for name in right if kept.get(name) != right[name]}
    match fault:
        case "F12":
            return all(kept.get(name) == "None" for name in differing)
        case "F16":
            return right in stormy.earlier[place] or len(stormy.earlier[place]) == 1
        case "F20" if "high" in right:
            within = Decimal(kept["high"]) <= Decimal(right["high"]) and Decimal(kept["low"]) >= Decimal(
                right["low"]
            )
            return within and kept["open"] == right["open"] and _less(kept["volume"], right["volume"])
        case "F20":
            return any(kept.get(own, "") < right.get(own, "") for own in ("updated_at", "at"))
    return False


def _lost(there: Account, gone: Account, place: Place) -> bool:
    """Whether one run marked lost the interval in which the other has the fact, or found it."""
    stream, partition, _ = place
    moments = there.cursors[place], there.found[place]
    spans = gone.lost.get((stream, partition), [])
    return any(start <= moment < end for start, end in spans for moment in moments)


def _to_come(there: Account, gone: Account, place: Place) -> bool:
    """Whether the run that lacks the fact ended while its interval was still to be asked for: not due yet (the runs
    look at other minutes of the hour), or late, which `account` lets pass for a reason only."""
    spans, moment = gone.to_come.get(place[:2], []), there.cursors[place]
    return any(start <= moment < end for start, end in spans)


def _hidden(calm: Account, stormy: Account, place: Place) -> bool:
    """Whether a page of the stream told otherwise between its writing and soon after it was to be found: nothing, or an
    old listing. What was written before the node began is to be found later than soon."""
    since, found = (datetime.fromisoformat(one[place]) for one in (calm.cursors, calm.found))
    struck = [datetime.fromisoformat(moment) for moment in stormy.hidden.get(place[0], [])]
    return any(since <= moment <= max(since, found) + SOON for moment in struck)


def _changed_meanwhile(calm: Account, stormy: Account, place: Place, cursor: str) -> bool:
    """Whether the upstream itself changed or took away a text between the two runs' first answers about its time: a
    search may not find it any more, or at another time."""
    moments = stormy.changed.get((place[0], place[2]), [])
    before, after = (_first_answer(run, place, cursor) for run in (calm, stormy))
    return before is not None and after is not None and any(before[2] < one <= after[2] for one in moments)


def _room_was_made(calm: Account, stormy: Account, place: Place) -> bool:
    """Whether a text of the same window changed meanwhile: of X only the newest ten are asked for, so then another
    one is among them."""
    window = _first_answer(stormy, place, stormy.cursors[place])
    if place[0] != "x.posts" or window is None:
        return False
    mine = [
        (other, cursor)
        for run in (calm, stormy)
        for other, cursor in run.cursors.items()
        if other[:2] == place[:2] and window[0] <= cursor < window[1]
    ]
    return any(_changed_meanwhile(calm, stormy, other, cursor) for other, cursor in mine)


def _first_answer(run: Account, place: Place, cursor: str) -> tuple[str, str, str] | None:
    """(start, end, received at) of the first answer over this time. All are UTC and so compare as texts."""
    found = [one for one in run.answers.get(place[:2], []) if one[0] <= cursor < one[1]]
    return min(found, key=lambda one: one[2], default=None)


def _less(kept: str, right: str) -> bool:
    return kept == right or "None" in (kept, right) or Decimal(kept) <= Decimal(right)
