"""Paging cursors: where the next page starts and at which point in time all pages stand, signed.

A cursor belongs to the question it came from: with other parameters, or with a character changed, it is
refused.
"""

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from ray_app.serve.problems import Problem
from ray_app.serve.wire import text

_SIGNATURE = 16  # bytes


class Cursors:
    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def write(self, question: Mapping[str, Any], position: list[Any], pinned: datetime) -> str:
        """`position` as JSON types; `pinned` is the as_of of every page."""
        body = json.dumps(
            [_digest(question), position, pinned.isoformat()], separators=(",", ":"), default=_plain
        ).encode()
        return base64.urlsafe_b64encode(self._sign(body) + body).decode().rstrip("=")

    def read(self, cursor: str, question: Mapping[str, Any]) -> tuple[list[Any], datetime]:
        """(position, pinned). Raises Problem CURSOR_INVALID."""
        try:
            packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            canonical = base64.urlsafe_b64encode(packed).decode().rstrip("=") == cursor
            signature, body = packed[:_SIGNATURE], packed[_SIGNATURE:]
            if canonical and hmac.compare_digest(signature, self._sign(body)):
                digest, position, pinned = json.loads(body)
                if digest == _digest(question):
                    return position, datetime.fromisoformat(pinned)
        except ValueError:
            pass
        raise Problem(
            "CURSOR_INVALID",
            "this cursor is not one of ours, or belongs to other parameters; start again without",
        )

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._secret, b"cursor" + body, "sha256")[:_SIGNATURE]


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _digest(question: Mapping[str, Any]) -> str:
    asked = {k: text(v) if isinstance(v, datetime) else v for k, v in question.items() if v is not None}
    return sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()[:16]
