"""What the soak takes for explained, and what not: an upstream that changed its texts between two first answers."""

import pytest

from tests.soak.account import Account
from tests.soak.prove import differences

WINDOW = ("2026-06-01T10:00:00+00:00", "2026-06-01T12:00:00+00:00")
EARLY, LATE = "2026-06-01T12:01:00+00:00", "2026-06-01T12:40:00+00:00"
BETWEEN, AFTER, BEFORE = (f"2026-06-01T{time}:00+00:00" for time in ("12:20", "12:50", "11:50"))
GONE, KEPT, OTHER = (("x.posts", "words", key) for key in ("1", "2", "3"))


def told(texts: dict[tuple[str, str, str], str], answered: str) -> Account:
    """A run whose first answer over the window came then, with texts written at these times."""
    return Account(
        facts={place: {"body": place[2]} for place in texts},
        cursors=dict(texts),
        found=dict.fromkeys(texts, answered),
        answers={("x.posts", "words"): [(*WINDOW, answered)]},
    )


def both(changes: dict[str, list[str]]) -> list[str]:
    """The first run has texts 1 and 2, the one with faults 2 and 3."""
    calm = told({GONE: "2026-06-01T11:30:00+00:00", KEPT: "2026-06-01T11:40:00+00:00"}, EARLY)
    stormy = told({KEPT: "2026-06-01T11:40:00+00:00", OTHER: "2026-06-01T10:10:00+00:00"}, LATE)
    stormy.changed = {("x.posts", key): moments for key, moments in changes.items()}
    return differences(calm, stormy, frozenset(), frozenset())


def test_a_text_taken_away_before_it_was_asked_for_explains_its_absence_and_who_took_its_place():
    assert both({"1": [BETWEEN]}) == []


@pytest.mark.parametrize("moments", [[], [BEFORE], [AFTER], [BEFORE, AFTER]])
def test_a_text_that_was_there_at_both_answers_must_be_there(moments: list[str]):
    assert both({"1": moments}) == [
        "x.posts words 1: missing, and not marked lost",
        "x.posts words 3: there only with faults",
    ]


def test_the_change_of_another_text_explains_a_newcomer_but_no_absence():
    assert both({"2": [BETWEEN]}) == ["x.posts words 1: missing, and not marked lost"]


def test_only_a_list_of_the_newest_has_room_for_another():
    place = ("guardian.articles", "crypto", "3")
    calm, stormy = Account(), told({place: "2026-06-01T10:10:00+00:00"}, LATE)
    stormy.answers = {place[:2]: [(*WINDOW, LATE)]}
    stormy.changed = {(place[0], place[2]): [BETWEEN]}
    assert differences(calm, stormy, frozenset(), frozenset()) == [
        f"{' '.join(place)}: there only with faults"
    ]


@pytest.mark.parametrize(("window", "differ"), [(WINDOW, 0), ((WINDOW[1], BETWEEN), 1)])
def test_what_was_to_come_at_the_end_may_be_there_in_one_run_only(window: tuple[str, str], differ: int):
    place = ("guardian.articles", "crypto", "1")
    there, gone = told({place: "2026-06-01T11:30:00+00:00"}, EARLY), Account()
    gone.to_come = {place[:2]: [window]}
    assert len(differences(there, gone, frozenset(), frozenset())) == differ
    assert len(differences(gone, there, frozenset(), frozenset())) == differ
