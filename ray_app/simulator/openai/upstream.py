"""api.openai.com, as far as chat completions go. Models are those whose name begins with `sim-`.

What it was asked is kept whole and told to tests (`/sim/truth/openai?what=requests`): what was never to be sent can
be searched for.
"""

import json
from collections import deque
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any

from ray_app.simulator.clock import instant
from ray_app.simulator.faults import Rule
from ray_app.simulator.openai import answers
from ray_app.simulator.openai.answers import rejected, row, tokens
from ray_app.simulator.openai.obeying import obeyed
from ray_app.simulator.openai.rating import LABELS, shares
from ray_app.simulator.openai.spoiling import ERRORS, FAULTS, content, error
from ray_app.simulator.quota import Rolling
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import HTML, Rejection, Reply

REQUESTS, TOKENS, MINUTE_MS = 500, 200_000, 60_000
KEPT = 10_000  # requests
KNOWN = {
    "model", "messages", "response_format", "max_completion_tokens", "max_tokens", "store", "seed", "n",
    "temperature", "reasoning_effort",
}  # fmt: skip


class OpenAI:
    name, prefix = "openai", "/openai"
    secret_params: frozenset[str] = frozenset()
    own_faults = FAULTS

    def __init__(self, simulation: Simulation) -> None:
        self._seed, self._limits = simulation.config.seed, simulation.limits
        self._requests, self._tokens = Rolling(REQUESTS, MINUTE_MS), Rolling(TOKENS, MINUTE_MS)
        self._asked: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._used = {"requests": 0, "prompt_tokens": 0, "completion_tokens": 0}
        self._left: int | None = None  # tokens that are paid for; None: no end
        self._obeys = False

    def limit(self, asked: Asked) -> Reply | None:
        """Requests and tokens a minute; a request that never fits is told so."""
        self._asked.append({"number": asked.number, "body": asked.body.decode("utf-8", "replace")})
        try:
            body = json.loads(asked.body)
            most = int(body["max_completion_tokens"])
        except (ValueError, KeyError, TypeError):
            return None
        wanted, model = tokens(asked.body.decode()) + most, str(body.get("model"))
        if wanted > self._tokens.limit:
            text = answers.TOO_LARGE.format(model=model, limit=self._tokens.limit, asked=wanted)
            return rejected(429, text, "tokens", "rate_limit_exceeded").reply()
        waits = {
            "requests": (self._requests, self._requests.arrive("key", asked.now_ms)),
            "tokens": (self._tokens, self._tokens.arrive("key", asked.now_ms, wanted)),
        }
        for what, (count, wait) in waits.items():
            if wait:
                text = answers.REACHED.format(
                    model=model, what=what, limit=count.limit, again=f"{wait / 1000:g}s"
                )
                headers = {"Retry-After": str(-(-wait // 1000))}
                return rejected(429, text, what, "rate_limit_exceeded", headers).reply()
        return None

    def lower(self, per_minute: int) -> None:
        self._requests.limit = per_minute

    def restore(self) -> None:
        self._requests.limit = REQUESTS

    def answer(self, asked: Asked) -> Reply:
        return self._answer(asked, None)

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:
        if rule.fault in ("F08", "F22"):
            raise _wrong_key(asked)
        if rule.fault not in FAULTS:
            return None
        if str(rule.value("text", "")) not in asked.body.decode("utf-8", "replace"):
            return None
        if rule.fault in ERRORS:
            later = asked.now_ms + round(float(rule.value("seconds", 2)) * 1000)
            raise error(rule, str(_body(asked).get("model")), format_datetime(instant(later), usegmt=True))
        return self._answer(asked, rule)

    def adjust(self, settings: Mapping[str, Any]) -> Any:
        """`obeys`: texts; `tokens_left` that are paid for (null: no end); `tokens_per_minute`."""
        if unknown := set(settings) - {"obeys", "tokens_left", "tokens_per_minute"}:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        self._obeys = bool(settings.get("obeys", self._obeys))
        if "tokens_left" in settings:
            self._left = None if settings["tokens_left"] is None else int(settings["tokens_left"])
        self._tokens.limit = int(settings.get("tokens_per_minute", self._tokens.limit))
        return {"obeys": self._obeys, "tokens_left": self._left, "tokens_per_minute": self._tokens.limit}

    def truth(self, params: Mapping[str, str]) -> Any:
        """`what=requests`: all that came in, whole; `what=used`; `what=rating&text=...`."""
        match params["what"]:
            case "requests":
                return list(self._asked)
            case "used":
                return dict(self._used)
            case "rating":
                return dict(zip(LABELS, shares(self._seed, params["text"]), strict=True))
        raise ValueError("what is requests, used or rating")

    def _answer(self, asked: Asked, rule: Rule | None) -> Reply:
        if asked.path != "/v1/chat/completions" or asked.method != "POST":
            raise rejected(404, "Invalid URL", "invalid_request_error", None)
        if asked.headers.get("authorization", "") != "Bearer sim-key":
            raise _wrong_key(asked)
        if self._left is not None and self._left <= 0:
            raise rejected(429, answers.NO_MONEY, "insufficient_quota", "insufficient_quota")
        body = _body(asked)
        _check(body)
        rules, told = (message["content"] for message in body["messages"])
        rows = [(one["id"], one["text"]) for one in json.loads(told.split("\n")[1])["texts"]]
        texts = [text for _, text in rows]
        right = [row(id_, shares(self._seed, text)) for id_, text in rows]
        written: str | None = json.dumps({"answers": right})
        if self._obeys:
            written = obeyed(right, texts, rules) or written
        if rule is not None:
            written = content(rule, right, texts)
        return self._told(asked, body, rule, written)

    def _told(self, asked: Asked, body: Mapping[str, Any], rule: Rule | None, written: str | None) -> Reply:
        most, model, refusal, finish = (
            int(body["max_completion_tokens"]),
            f"{body['model']}-{answers.DATED}",
            None,
            "stop",
        )
        if rule is not None and rule.fault == "L08":
            most, finish = (
                (most, "length") if rule.kind() == "whole" else (tokens(written or "") // 2, finish)
            )
        if rule is not None and rule.fault == "L07":
            finish = {"filter": "content_filter", "tool": "tool_calls"}.get(rule.kind(), "stop")
            refusal = "I'm sorry, I can't speak of this." if finish == "stop" else None
            written = None
        if tokens(written or "") > most:
            written, finish = (written or "")[: most * answers.LETTERS], "length"
        if rule is not None and rule.fault == "L10":
            model = str(rule.value("name", "sim-other"))
        prompt = answers.AROUND + sum(tokens(str(message["content"])) for message in body["messages"])
        made = tokens(written or refusal or "")
        self._used["requests"] += 1
        self._used["prompt_tokens"] += prompt
        self._used["completion_tokens"] += made
        if self._left is not None:
            self._left -= prompt + made
        counted: Any = answers.usage(prompt, made)
        if rule is not None and rule.fault == "L09":
            counted = {"zero": answers.usage(0, 0), "words": {"prompt_tokens": "many"}}.get(rule.kind())
        whole = answers.completion(asked.number, asked.now_ms, model, written, finish, counted, refusal)
        if rule is not None and rule.fault == "L12":
            return _none(rule, whole)
        return Reply(200, json.dumps(whole).encode(), headers=self._headers(asked))

    def _headers(self, asked: Asked) -> list[tuple[str, str]]:
        enforced = self._limits.enforced
        counts = {"requests": self._requests, "tokens": self._tokens}
        used = {what: count.used("key", asked.now_ms) if enforced else 0 for what, count in counts.items()}
        told = [("x-request-id", f"req_sim{asked.number}"), ("openai-processing-ms", "120")]
        for what, count in counts.items():
            told.append((f"x-ratelimit-limit-{what}", str(count.limit)))
            told.append((f"x-ratelimit-remaining-{what}", str(max(0, count.limit - used[what]))))
            told.append((f"x-ratelimit-reset-{what}", f"{used[what] * MINUTE_MS // count.limit}ms"))
        return told


def _none(rule: Rule, whole: Mapping[str, Any]) -> Reply:
    if rule.kind() == "html":
        return Reply(200, b"<html><body>Sign in</body></html>", HTML)
    told = {"error": {"message": "overloaded"}} if rule.kind() == "error" else {**whole, "choices": []}
    return Reply(200, json.dumps(told).encode())


def _wrong_key(asked: Asked) -> Rejection:
    """It repeats the key, as the real one does in part."""
    given = asked.headers.get("authorization", "").removeprefix("Bearer ")
    return rejected(401, f"Incorrect API key provided: {given}.", "invalid_request_error", "invalid_api_key")


def _body(asked: Asked) -> dict[str, Any]:
    try:
        body = json.loads(asked.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise rejected(400, "We could not parse the JSON body.", "invalid_request_error", None)
    return body


def _check(body: Mapping[str, Any]) -> None:
    """What the real one would not take."""
    if not str(body.get("model")).startswith("sim-"):
        text = f"The model `{body.get('model')}` does not exist or you do not have access to it."
        raise rejected(404, text, "invalid_request_error", "model_not_found")
    if unknown := set(body) - KNOWN:
        raise rejected(
            400, f"Unknown parameter: {min(unknown)!r}.", "invalid_request_error", "unsupported_parameter"
        )
    asked = body["response_format"]
    strict = asked["json_schema"]
    if asked["type"] != "json_schema" or strict["strict"] is not True or not _is_strict(strict["schema"]):
        raise rejected(
            400, "Invalid schema for response_format.", "invalid_request_error", "invalid_json_schema"
        )


def _is_strict(schema: Any) -> bool:
    """Every object closed, every property required."""
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        closed = schema.get("additionalProperties") is False
        if not closed or set(schema.get("required", ())) != set(properties):
            return False
        return all(_is_strict(one) for one in properties.values())
    return _is_strict(schema.get("items"))
