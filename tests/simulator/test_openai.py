"""The simulated chat model: answers by the simulator's truth, errors as OpenAI words them, orders that it obeys."""

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any

import httpx
import pytest

from ray_app.process.sentiment.advanced import BadAnswer, question, ratings
from ray_app.simulator.openai.obeying import orders
from tests.simulator.texting import START, Sim, simulated

PATH = "/openai/v1/chat/completions"
KEY = {"Authorization": "Bearer sim-key"}
KEYS_OF_AN_ERROR = {"message", "type", "param", "code"}


@pytest.fixture(scope="module")
def sim():
    with simulated(limits=True) as started:
        yield started


@pytest.fixture(autouse=True)
def as_at_first(sim: Sim):
    sim.adjust("openai", obeys=False, tokens_left=None, tokens_per_minute=200_000)
    sim.advance(61)


def ask(sim: Sim, texts: Any, most: int = 500, model: str = "sim-small", **changes: Any) -> httpx.Response:
    body = question(texts).body(model, most) | changes
    return sim.http.post(PATH, json=body, headers=KEY)


def told(sim: Sim, texts: list[str]) -> list[Any]:
    asked = question(texts)
    answer = sim.http.post(PATH, json=asked.body("sim-small", 60 * len(texts)), headers=KEY)
    assert answer.status_code == 200, answer.text
    return ratings(answer.json()["choices"][0]["message"]["content"], asked)


def error(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, answer.text
    found = answer.json()["error"]
    assert set(found) == KEYS_OF_AN_ERROR
    return found


def test_an_answer_has_the_form_of_a_recorded_one(sim: Sim):
    body = ask(sim, ["Bitcoin rallies to $100: what's next?"]).json()
    assert {"id", "object", "created", "model", "choices", "usage", "system_fingerprint"} <= set(body)
    (choice,) = body["choices"]
    assert (body["object"], body["model"]) == ("chat.completion", "sim-small-2026-01-01")
    assert (choice["finish_reason"], choice["message"]["refusal"]) == ("stop", None)
    used = body["usage"]
    assert used["prompt_tokens"] + used["completion_tokens"] == used["total_tokens"]


def test_headlines_of_the_simulator_are_rated_by_the_tone_of_their_story(sim: Sim):
    start = START - timedelta(hours=12)
    stories = sim.truth("guardian", from_=start.isoformat(), to=START.isoformat())
    assert {one["tone"] for one in stories} == {-1, 0, 1}
    labels = [("neutral", "bullish", "bearish")[one["tone"]] for one in stories]
    for name in ("title", "later_title"):
        found = told(sim, [f"{one[name]}\nBelow it." for one in stories])
        assert [one.label for one in found] == labels


def test_a_text_has_the_same_rating_whatever_is_beside_it(sim: Sim):
    texts = [
        "BTC sinks to $9: how low can it go?",
        "What wallet do you use for Bitcoin?",
        "Never seen before",
    ]
    together = told(sim, texts)
    assert together == [told(sim, [text])[0] for text in texts] == told(sim, texts[::-1])[::-1]
    for text, one in zip(texts, together, strict=True):
        shares = sim.truth("openai", what="rating", text=text)
        assert [one.bearish * 100, one.neutral * 100, one.bullish * 100] == list(shares.values())


def test_what_it_was_asked_can_be_searched_and_what_it_used_is_counted(sim: Sim):
    before = sim.truth("openai", what="used")
    answer = ask(sim, ["A text to be found"])
    after = sim.truth("openai", what="used")
    assert "A text to be found" in sim.truth("openai", what="requests")[-1]["body"]
    used = answer.json()["usage"]
    grown = {name: after[name] - before[name] for name in after}
    assert grown == {"requests": 1} | {k: used[k] for k in ("prompt_tokens", "completion_tokens")}


def test_refusals_of_keys_models_and_questions(sim: Sim):
    nobody = sim.http.post(PATH, json={}, headers={"Authorization": "Bearer secret-1"})
    assert "secret-1" in error(nobody, 401)["message"]
    assert error(nobody, 401)["code"] == "invalid_api_key"
    assert error(ask(sim, ["x"], model="gpt"), 404)["code"] == "model_not_found"
    assert error(ask(sim, ["x"], guided_json={}), 400)["code"] == "unsupported_parameter"
    loose = question(["x"]).body("sim-small", 500)
    loose["response_format"]["json_schema"]["schema"]["properties"]["answers"]["items"]["required"].pop()
    assert error(sim.http.post(PATH, json=loose, headers=KEY), 400)["code"] == "invalid_json_schema"


def test_limits_of_requests_and_tokens_and_the_money(sim: Sim):
    with sim.fault("F23", per_minute=2):
        answers = [ask(sim, ["x"]) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert answers[1].headers["x-ratelimit-remaining-requests"] == "0"
    assert (error(answers[2], 429)["code"], answers[2].headers["retry-after"]) == (
        "rate_limit_exceeded",
        "60",
    )
    sim.http.post("/sim/limits", json={"restore": True})
    sim.advance(61)
    sim.adjust("openai", tokens_per_minute=1_000)
    assert ask(sim, ["x"], most=100).status_code == 200
    wait = error(ask(sim, ["x"], most=400), 429)
    assert (wait["type"], "try again in" in wait["message"]) == ("tokens", True)
    large = error(ask(sim, ["x"], most=1_000), 429)
    assert (large["code"], large["message"].startswith("Request too large")) == ("rate_limit_exceeded", True)
    sim.advance(61)
    sim.adjust("openai", tokens_left=10, tokens_per_minute=200_000)
    assert ask(sim, ["x"], most=100).status_code == 200
    broke = error(ask(sim, ["x"], most=100), 429)
    assert (broke["type"], broke["code"]) == ("insufficient_quota", "insufficient_quota")


def test_an_answer_that_is_longer_than_allowed_is_cut(sim: Sim):
    (choice,) = ask(sim, ["x"], most=5).json()["choices"]
    assert (choice["finish_reason"], len(choice["message"]["content"])) == ("length", 20)


def test_a_fault_can_be_kept_to_one_text(sim: Sim):
    with sim.fault("L07", text="spoken"):
        (fine,) = ask(sim, ["another"]).json()["choices"]
        (refused,) = ask(sim, ["not spoken of"]).json()["choices"]
    assert fine["message"]["refusal"] is None
    assert (refused["message"]["content"], bool(refused["message"]["refusal"])) == (None, True)


@pytest.mark.parametrize("order", orders())
def test_it_obeys_what_a_text_tells_it_only_when_told_to(sim: Sim, order: str):
    texts = ["BTC sinks to $9: how low can it go?", f"Dear model, {order}, please."]
    right = told(sim, texts)
    sim.adjust("openai", obeys=True)
    with suppress(BadAnswer):
        assert told(sim, texts) != right
    assert json.loads(sim.truth("openai", what="requests")[-1]["body"])["store"] is False
