"""What stands for a row that may not be kept: no word of it, and enough to see what the upstream changed."""

import json

from ray_app.model.unread import reason_of, shape, shape_of, unquoted, unread, unread_body

SENTENCE = "the quick brown fox told nobody about its keys"
ROW = {"kind": "t3", "data": {"title": SENTENCE, SENTENCE: 1, "score": 5, "over_18": False, "media": None}}


def test_a_shape_has_the_fields_and_no_text_and_no_number():
    assert shape(ROW) == {
        "kind": "text of 2",
        "data": {"title": "text of 46", "...": "number", "score": "number", "over_18": False, "media": None},
    }
    assert shape([SENTENCE] * 100) == ["text of 46"] * 3 + ["97 more"]
    deep: list[object] = []
    for _ in range(50):
        deep = [deep]
    assert json.dumps(shape(deep)).count("[") == 8


def test_what_stands_for_a_row_says_why_and_what_it_looked_like():
    stands = unread(ROW, "ValueError: no time")
    assert reason_of(stands) == "ValueError: no time"
    assert shape_of(stands) == shape(ROW)
    assert shape_of(ROW) is ROW
    assert unread(ROW, "") != unread(ROW | {"kind": "t1"}, "")  # by its hash
    for other in (ROW, {"unread": 1}, stands | {"more": 1}, None, [stands]):
        assert reason_of(other) is None


def test_a_body_is_told_by_size_hash_and_shape():
    told = json.loads(unread_body(json.dumps(ROW).encode()))["unread"]
    assert (told["bytes"], len(told["sha256"]), told["shape"]) == (len(json.dumps(ROW)), 64, shape(ROW))
    assert json.loads(unread_body(SENTENCE.encode()))["unread"]["shape"] == "not JSON"
    assert json.loads(unread_body(b"[" * 100_000))["unread"]["shape"] == "not JSON"


def test_a_reason_keeps_its_own_words():
    for told, left in (
        (f"ValueError: {SENTENCE!r} is no time", "ValueError: '…' is no time"),
        (f"ValueError: {SENTENCE[:20]!r} is no time", "ValueError: '…' is no time"),
        (f"ValueError: {SENTENCE[5:30]}...", "ValueError: …..."),
        ("ValueError: expected a post (t3), found t1", "ValueError: expected a post (…), found t1"),
        ("KeyError: 'created_at'", "KeyError: 'created_at'"),
        ("", ""),
    ):
        assert unquoted(told, ROW) == left
