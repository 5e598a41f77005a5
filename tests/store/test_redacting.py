"""Two answers may leave the same, and yet it belongs to each of them: cut out of one, it stays of the other."""

from dataclasses import replace
from pathlib import Path

import pytest

from ray_app.model.source import Page
from ray_app.store.compacting import Compacting
from ray_app.store.raw import RawPages
from tests.store.made import DAY, HOUR, T0, collected, page, price

KEPT = b'[{"item":"t3_a","text":"words"}]'


def answer(n: int) -> Page:
    """One of those that differ in what is cut out before they are kept."""
    sent = page(b'[{"item":"t3_a","text":"words"},{"item":"x%d"}]' % n, T0 + n * HOUR, stream="posts")
    return sent.without(lambda _: KEPT)


def without_texts(body: bytes, _: object = None) -> bytes:
    return body.replace(b"words", b"")


@pytest.fixture
def raw(tmp_path: Path) -> RawPages:
    return RawPages(str(tmp_path))


@pytest.fixture(params=["as files", "packed"])
async def two(raw: RawPages, request: pytest.FixtureRequest) -> RawPages:
    """Two answers of which the same is left; a slice names the first, 20 hours before the second."""
    first, second = answer(0), answer(20)
    assert first.body_hash != second.body_hash
    await raw.keep(first)
    await raw.note(replace(collected([price("bitcoin", "1")], stream="posts"), pages=(first,)))
    await raw.keep(second)
    if request.param == "packed":
        Compacting(raw).run(T0 + 9 * DAY)
    return raw


async def test_what_was_not_stored_loses_its_texts_and_another_that_left_the_same_keeps_its_own(
    two: RawPages,
):
    assert (
        two.abandon("coingecko.posts", T0 + 19 * HOUR, T0 + 21 * HOUR, without_texts, T0 + 9 * DAY).changed
        == 1
    )
    assert [one.body for one in RawPages(two.path).pages()] == [KEPT, without_texts(KEPT)]
    assert two.redact("coingecko.posts", T0, {"t3_a": "gone"}, without_texts, T0 + 9 * DAY).changed == 1
    assert [one.body for one in RawPages(two.path).pages()] == [without_texts(KEPT)] * 2


async def test_a_text_is_cut_out_of_the_younger_page_first(two: RawPages):
    for since, changed in ((T0 + 19 * HOUR, 1), (T0, 1), (T0, 0)):
        assert (
            two.redact("coingecko.posts", since, {"t3_a": "gone"}, without_texts, T0 + 9 * DAY).changed
            == changed
        )
    assert [one.body for one in RawPages(two.path).pages()] == [without_texts(KEPT)] * 2


async def test_what_is_left_of_one_may_be_all_of_another(raw: RawPages):
    whole = page(KEPT, T0, stream="posts")
    await raw.keep(whole)
    await raw.keep(answer(20))
    assert (
        raw.redact("coingecko.posts", T0 + 19 * HOUR, {"t3_a": "gone"}, without_texts, T0 + 9 * DAY).changed
        == 1
    )
    assert [one.body for one in RawPages(raw.path).pages()] == [KEPT, without_texts(KEPT)]


async def test_a_body_that_is_gone_is_told_and_keeps_no_other_from_being_cut(raw: RawPages, tmp_path: Path):
    first, second = (page(b"words %d" % n, T0 + n * HOUR, stream="posts") for n in range(2))
    for one in (first, second):
        await raw.keep(one)
    gone = first.body_hash
    (tmp_path / f"bodies/{gone[:2]}/{gone}.zst").unlink()
    done = raw.redact("coingecko.posts", T0, {"words": "gone"}, without_texts, T0 + 9 * DAY)
    assert (done.changed, done.unreadable) == (
        1,
        (f"bodies/{gone[:2]}/{gone}.zst is in no file of raw pages",),
    )
    assert raw.load(second.id, second.received_at).body == b" 1"
