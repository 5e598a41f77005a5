"""What an answer of a chat model's server means, its three kinds of 429 too.

| 429 | Means | Reaction |
|---|---|---|
| `rate_limit_exceeded`, or nothing known | too fast | RateLimited: wait as long as it says |
| "Request too large ..." under the same code | this request never fits | NotOffered: ask for less |
| `insufficient_quota` | the account has no money left | Unpaid: stop, tell a human |

No word of an answer gets into an error but codes that are known beforehand: a message can repeat a key or a text.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from ray_app.model.chat import Completion
from ray_app.model.errors import Malformed, NotOffered, RateLimited, Refused, Transient, Unpaid, UpstreamError
from ray_app.model.money import Usage

UNPAID = {"insufficient_quota", "billing_not_active", "billing_hard_limit_reached"}
TOO_LARGE = {"context_length_exceeded", "request_too_large"}
CODES = UNPAID | TOO_LARGE | {
    "rate_limit_exceeded", "invalid_api_key", "model_not_found", "invalid_json_schema", "server_error",
    "unsupported_parameter", "unsupported_value", "unsupported_country_region_territory", "content_filter",
}  # fmt: skip
MOST_TOKENS = 10**9  # that a count may say
LONGEST_WAIT = 31 * 86_400.0  # seconds; who asks for more is not believed

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,99}")
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|h|m|s)")
_DURATION = re.compile(r"(?:\d{1,9}(?:\.\d{1,9})?(?:ms|h|m|s)){1,4}")
_AGAIN = re.compile(r"try again in ((?:\d{1,9}(?:\.\d{1,9})?(?:ms|h|m|s)){1,4})")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as it came. `headers`: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime
    simulated: bool


def judge(scope: str, told: Told) -> None:
    """Raise the reaction that this answer asks for; return when its body may be read."""
    if told.status == 200:
        return
    error = _error(told.body)
    words = {value for value in (error.get("code"), error.get("type")) if isinstance(value, str)}
    known = sorted(words & CODES)
    detail = f"HTTP {told.status} {' '.join(known)}".strip()
    raise _reaction(scope, told, words, str(error.get("message", "")), detail)


def _reaction(scope: str, told: Told, words: set[str], message: str, detail: str) -> UpstreamError:
    if told.status == 402 or (400 <= told.status < 500 and words & UNPAID):
        return Unpaid(scope, f"the account has no money left: {detail}")
    if told.status == 413 or words & TOO_LARGE or (told.status == 429 and _is_too_large(message)):
        return NotOffered(scope, f"the request is too large: {detail}")
    if told.status == 429:
        return RateLimited(scope, detail, _wait(told, message))
    if told.status >= 500 or told.status in (408, 409, 425):
        return Transient(scope, detail)
    if told.status in (400, 422):
        return Malformed(scope, f"the question was not taken: {detail}")
    if 300 <= told.status < 400:
        return Refused(
            scope, f"{detail}: it leads elsewhere, which is not followed; set that address instead"
        )
    return Refused(scope, detail)


def completion(scope: str, told: Told) -> Completion:
    """The body of a good answer. Raises Malformed where it is none of a chat model's."""
    try:
        body = json.loads(told.body)
        (choice,) = body["choices"]
        message, model = choice["message"], body["model"]
        content, refusal, finish = message.get("content"), message.get("refusal"), choice["finish_reason"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Malformed(scope, f"{len(told.body)} bytes that are no completion") from None
    if not isinstance(model, str) or not _MODEL.fullmatch(model):
        raise Malformed(scope, "a completion without the name of its model")
    if not (content is None or isinstance(content, str)):
        raise Malformed(scope, "a completion whose content is no text")
    return Completion(
        content=content,
        refused=bool(refusal) or finish == "content_filter",
        whole=finish == "stop",
        model=model,
        usage=_usage(body.get("usage")),
    )


def _usage(told: Any) -> Usage | None:
    """None where the server counts no tokens, or says what cannot be a count."""
    if not isinstance(told, dict):
        return None
    prompt, completion = _count(told.get("prompt_tokens")), _count(told.get("completion_tokens"))
    return None if not prompt or completion is None else Usage(prompt, completion)


def _count(told: Any) -> int | None:
    return told if type(told) is int and 0 <= told <= MOST_TOKENS else None


def _error(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_too_large(message: str) -> bool:
    return message.lower().startswith("request too large")


def _wait(told: Told, message: str) -> float | None:
    """Seconds: as the headers say, else the message, else the window that is used up; None: it does not say."""
    headers = told.headers
    if (milliseconds := _number(headers.get("retry-after-ms", ""))) is not None:
        return min(milliseconds / 1000, LONGEST_WAIT)
    after = headers.get("retry-after", "").strip()
    if (seconds := _number(after)) is not None:
        return min(seconds, LONGEST_WAIT)
    try:
        return max(0.0, min((parsedate_to_datetime(after) - told.at).total_seconds(), LONGEST_WAIT))
    except (ValueError, TypeError):
        pass
    if (found := _AGAIN.search(message)) is not None:
        return min(_duration(found[1]), LONGEST_WAIT)
    used_up = [
        headers.get(f"x-ratelimit-reset-{what}", "")
        for what in ("requests", "tokens", "project-tokens")
        if headers.get(f"x-ratelimit-remaining-{what}", "").strip() == "0"
    ]
    waits = [_duration(reset) for reset in used_up if _DURATION.fullmatch(reset)]
    return min(max(waits), LONGEST_WAIT) if waits else None


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,12}(\.\d{1,9})?", text.strip()) else None


def _duration(text: str) -> float:
    """Seconds of 84ms, 1.146s, 6m0s, 1h2m3.5s."""
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
