"""Asking whether something has changed: validators go back word for word, and "no" is an answer."""

from dataclasses import replace

import pytest

from ray_app.collect.validate import read
from ray_app.model.errors import Malformed, NotOffered
from ray_app.model.source import Slice
from ray_app.model.timerange import TimeRange
from tests.connect.served import MINUTE, NEWS, NOW, SOURCE, Seen, asks, served, told

CHANGES = replace(NEWS, conditional=True)
ETAG, MODIFIED = 'W/"0815--gzip;x"', "Mon, 1 Jun 2026  10:03:21 GMT"  # as sent, odd spaces included
WANTED = Slice(("a",), TimeRange(NOW, NOW + 15 * MINUTE))
ASKS_AGAIN = ("if-none-match", "if-modified-since")


def conditions(seen: Seen) -> dict[str, str]:
    return {name: seen.headers[name] for name in ASKS_AGAIN if name in seen.headers}


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ({"etag": ETAG, "last_modified": MODIFIED}, {"if-none-match": ETAG, "if-modified-since": MODIFIED}),
        ({"etag": ETAG}, {"if-none-match": ETAG}),
        ({"last_modified": MODIFIED}, {"if-modified-since": MODIFIED}),
        ({}, {}),
        ({"etag": ""}, {}),
        ({"etag": '"für"'}, {}),  # no header that we could send
    ],
)
async def test_what_the_last_answer_was_marked_with_is_sent_word_for_word(
    headers: dict[str, str], sent: dict[str, str]
):
    async with served(lambda _: told(b"[]", "200 OK", **headers)) as server, asks(server) as made:
        await made(CHANGES).api.get("/x", a=1)
        await made(CHANGES).api.get("/x", a=1)  # an Api is made for each slice
    assert [conditions(seen) for seen in server.seen] == [{}, sent]


async def test_the_marks_of_the_newest_answer_count():
    marks = iter(['"1"', '"2"', ""])
    async with served(lambda _: told(etag=next(marks, ""))) as server, asks(server) as made:
        for _ in range(4):
            await made(CHANGES).api.get("/x")
    assert [conditions(seen).get("if-none-match") for seen in server.seen] == [None, '"1"', '"2"', None]


async def test_another_request_is_not_asked_with_the_marks_of_this_one():
    async with served(lambda seen: told(etag=f'"{seen.target}"')) as server, asks(server) as made:
        await made(CHANGES).api.get("/x", a=1)
        await made(CHANGES).api.get("/x", a=2)
        await made(CHANGES).api.get("/y", a=1)
        await made(replace(CHANGES, name="others")).api.get("/x", a=1)
        await made(NEWS).api.get("/x", a=1)
        assert [conditions(seen) for seen in server.seen] == [{}] * 5
        await made(CHANGES).api.get("/x", a=2)
    assert conditions(server.seen[-1]) == {"if-none-match": '"/example/v1/x?a=2"'}


def unchanged(seen: Seen) -> bytes:
    if conditions(seen):
        return told(b"", "304 Not Modified", etag=ETAG)
    return told(b'[{"id": "1", "title": "Up"}]', etag=ETAG)


async def test_not_modified_is_an_answer_without_rows():
    async with served(unchanged) as server, asks(server) as made:
        first = await made(CHANGES).api.get("/x")
        for _ in range(2):  # and what was known stays known
            asked = made(CHANGES)
            again = await asked.api.get("/x")
            assert (again.status, again.body) == (304, b"")
            assert asked.kept == [again]
            found = read(CHANGES, again, WANTED)
            assert (found.rows, found.records, found.set_aside) == (0, [], [])
    assert [record.key for record in read(CHANGES, first, WANTED).records] == ["1"]
    assert [bool(conditions(seen)) for seen in server.seen] == [False, True, True]


async def test_who_did_not_ask_whether_it_changed_cannot_be_told_so():
    async with served(lambda _: told(b"", "304 Not Modified")) as server, asks(server) as made:
        with pytest.raises(Malformed, match="HTTP 304"):
            await made(NEWS).api.get("/x")
    assert len(server.seen) == 1


async def test_an_error_leaves_no_marks():
    answers = [told(b"gone", "404 Not Found", etag='"bad"'), told(etag='"good"'), told(b"{}")]
    async with served(lambda _: answers.pop(0)) as server, asks(server) as made:
        with pytest.raises(NotOffered):
            await made(CHANGES).api.get("/x")
        await made(CHANGES).api.get("/x")
        await made(CHANGES).api.get("/x")
    assert [conditions(seen) for seen in server.seen] == [{}, {}, {"if-none-match": '"good"'}]


async def test_what_could_not_be_used_is_asked_for_whole_again():
    async with served(unchanged) as server, asks(server) as made:
        asked = made(CHANGES)
        await asked.api.get("/x")
        await asked.api.get("/y")
        asked.api.forget()
        other = made(CHANGES)
        await other.api.get("/x")
        await made(CHANGES).api.get("/x")
    assert [bool(conditions(seen)) for seen in server.seen] == [False, False, False, True]


async def test_a_moved_feed_is_asked_conditionally_where_it_is_now():
    def answer(seen: Seen) -> bytes:
        if seen.path == "/example/v1/x":
            return told(b"", "301 Moved", location="https://feeds.example.org/rss", etag='"hop"')
        return unchanged(seen)

    follows = replace(SOURCE, follows=True)
    async with served(answer) as server, asks(server, source=follows) as made:
        pages = [await made(CHANGES).api.get("/x") for _ in range(2)]
    assert [page.status for page in pages] == [200, 304]
    assert [(seen.path, conditions(seen)) for seen in server.seen] == [
        ("/example/v1/x", {}),
        ("/web/feeds.example.org/rss", {}),
        ("/example/v1/x", {}),
        ("/web/feeds.example.org/rss", {"if-none-match": ETAG}),
    ]
