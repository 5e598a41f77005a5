"""How answers and errors look, and how many tokens they are."""

import json
from collections.abc import Mapping
from typing import Any

from ray_app.simulator.openai.rating import LABELS, Shares
from ray_app.simulator.wire import Rejection

LETTERS = 4  # that make a token, roughly
AROUND = 7  # tokens around messages
DATED = "2026-01-01"  # what the answer adds to the name of a model
TOO_LARGE = (
    "Request too large for {model} in organization org-sim on tokens per min (TPM): Limit {limit}, Requested "
    "{asked}. The input or output tokens must be reduced in order to run successfully."
)
REACHED = (
    "Rate limit reached for {model} in organization org-sim on {what} per min: Limit {limit}, Used {limit}, "
    "Requested 1. Please try again in {again}."
)
NO_MONEY = "You exceeded your current quota, please check your plan and billing details."


def tokens(text: str) -> int:
    return -(-len(text) // LETTERS)


def row(id_: str, shares: Shares) -> dict[str, Any]:
    label = LABELS[shares.index(max(shares))]
    return {
        "id": id_,
        **{name: share / 100 for name, share in zip(LABELS, shares, strict=True)},
        "label": label,
    }


def completion(
    number: int, now_ms: int, model: str, content: str | None, finish: str, usage: Any, refusal: str | None
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": refusal, "annotations": []}
    told = {
        "id": f"chatcmpl-sim{number}",
        "object": "chat.completion",
        "created": now_ms // 1000,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "service_tier": "default",
        "system_fingerprint": "fp_sim",
    }
    return told | ({} if usage is None else {"usage": usage})


def usage(prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def rejected(
    status: int, message: str, type_: str, code: str | None, headers: Mapping[str, str] | None = None
) -> Rejection:
    body = {"error": {"message": message, "type": type_, "param": None, "code": code}}
    return Rejection(status, json.dumps(body), headers=tuple((headers or {}).items()))
