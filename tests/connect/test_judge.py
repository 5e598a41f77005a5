from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ray_app.connect.judge import allowance, judge, retry_after
from ray_app.connect.retry import LONGEST, PARK, pause
from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused, Transient, UpstreamError
from ray_app.model.source import Page
from ray_app.sources.coingecko import SOURCE

AT = datetime(2026, 6, 1, 10, 0, tzinfo=UTC)


def answer(status: int, body: bytes = b"", **headers: str) -> Page:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Page(
        source="coingecko", stream="prices", path="/coins/markets", params={}, status=status, headers=told,
        body=body, asked_at=AT, received_at=AT,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("status", "reaction"),
    [
        (301, Malformed), (304, Malformed), (400, Refused), (401, Refused), (402, Refused), (403, Refused),
        (404, NotOffered), (405, Malformed), (408, Transient), (409, Transient), (410, NotOffered),
        (418, RateLimited), (422, Refused), (425, Transient), (429, RateLimited), (451, Refused),
        (499, Malformed),
        (500, Transient), (502, Transient), (503, Transient), (504, Transient), (520, Transient),
        (524, Transient),
    ],
)  # fmt: skip
def test_each_status_has_its_reaction(status: int, reaction: type[UpstreamError]):
    with pytest.raises(UpstreamError, match=f"HTTP {status}: what they said") as told:
        judge(SOURCE, answer(status, b'{"error": "what they said"}'))
    assert type(told.value) is reaction
    assert told.value.source == "coingecko"


@pytest.mark.parametrize(
    ("body", "reaction", "text"),
    [
        (b'{"status":{"error_code":429,"error_message":"exceeded"}}', RateLimited, "exceeded"),
        (b'{"error":{"status":{"error_code":429,"error_message":"slow"}}}', RateLimited, "slow"),
        (b' \n{"status":{"error_code":500,"error_message":"oops"}}', Transient, "error 500 in a 200: oops"),
        (b'{"error":"Could not process the request"}', Transient, "Could not process"),
        (b'{"status":{"error_code":429,"error_mess', Malformed, "not JSON"),
    ],
)  # fmt: skip
def test_a_200_can_carry_an_error(body: bytes, reaction: type[UpstreamError], text: str):
    with pytest.raises(UpstreamError, match=text) as told:
        judge(SOURCE, answer(200, body))
    assert type(told.value) is reaction


@pytest.mark.parametrize(
    "body", [b"[]", b'{"rates": {}}', b'{"prices": [], "market_caps": []}', b"<html>", b""]
)
def test_what_is_no_error_is_for_the_parser_to_judge(body: bytes):
    judge(SOURCE, answer(200, body))


def test_a_coin_may_speak_of_errors_and_status():
    row = b'[{"id": "status", "name": "error", "current_price": 1}]'
    judge(SOURCE, answer(200, row))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), (" 30 ", 30.0), ("0", 0.0), ("Mon, 01 Jun 2026 10:02:00 GMT", 120.0),
     ("Mon, 01 Jun 2026 09:00:00 GMT", 0.0), ("soon", None), ("", None), ("-5", None), ("1.5e3", None)],
)  # fmt: skip
def test_how_long_an_answer_asks_us_to_wait(header: str, seconds: float | None):
    assert retry_after(answer(429, retry_after=header)) == seconds
    with pytest.raises(RateLimited) as told:
        judge(SOURCE, answer(429, retry_after=header))
    assert told.value.retry_after == seconds


@pytest.mark.parametrize(
    ("header", "limit"), [("30", 30), ("0", None), ("many", None), ("-3", None), ("", None)]
)
def test_the_limit_that_an_answer_states(header: str, limit: int | None):
    assert allowance(SOURCE, answer(429, x_ratelimit_limit=header)) == limit
    unsaid = replace(SOURCE, states_limit=False)  # another source's header may speak of another window
    assert allowance(unsaid, answer(429, x_ratelimit_limit=header)) is None


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"error":"coin not found"}', "coin not found"),
        (b'{"error":{"status":{"error_code":10005,"error_message":"plan too small"}}}', "plan too small"),
        (b'{"status":{"error_code":10002,"error_message":"API Key Missing"}}', "API Key Missing"),
        (b'{"status":500,"error":"Internal Server Error"}', "Internal Server Error"),
        (b"<!DOCTYPE html>\n<html><head><title>Error 1020", "<!DOCTYPE html>"),
        (b"\xff\xfe", "HTTP 500"),
        (b"[" * 100_000, "HTTP 500"),
    ],
)
def test_the_message_is_the_upstreams_own_words(body: bytes, text: str):
    with pytest.raises(Transient) as told:
        judge(SOURCE, answer(500, body))
    assert text in str(told.value)
    assert len(str(told.value)) < 300


def test_the_wait_before_the_next_attempt_grows_and_is_bounded():
    error = Transient("coingecko", "away")
    waits = [[pause(error, attempt) for _ in range(200)] for attempt in range(1, 12)]
    for attempt, found in enumerate(waits, start=1):
        most = min(LONGEST, 0.5 * 2 ** (attempt - 1))
        assert all(wait is not None and most / 2 <= wait <= most for wait in found)
        assert len(set(found)) > 100  # jitter: many clients do not come back together


@pytest.mark.parametrize("error", [Refused("x"), NotOffered("x"), Malformed("x")])
def test_what_a_second_try_cannot_mend_is_not_tried_again(error: UpstreamError):
    assert pause(error, 1) is None


def test_a_refused_rate_is_waited_out_by_the_keeper_unless_it_takes_too_long():
    assert pause(RateLimited("x"), 1) == 0.0
    assert pause(RateLimited("x", retry_after=PARK), 1) == 0.0
    assert pause(RateLimited("x", retry_after=PARK + 1), 1) is None
