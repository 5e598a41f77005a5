"""Structured logs: one JSON line per event, with its fields; never a secret, never a raw URL."""

import json
import logging
import sys
from typing import Any

PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class Lines(logging.Formatter):
    """A record as one line of JSON: time, level, part, event, and what was passed as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "part": record.name.removeprefix("crypto_data."),
            "event": record.getMessage(),
        }
        line |= {k: v for k, v in vars(record).items() if k not in PLAIN and not k.startswith("_")}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def logger(part: str) -> logging.Logger:
    """The logger of one part of the node; the first call sets up the lines."""
    root = logging.getLogger("crypto_data")
    if not root.handlers:
        import time

        handler = logging.StreamHandler(sys.stderr)
        lines = Lines()
        lines.converter = time.gmtime
        handler.setFormatter(lines)
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        root.propagate = False
    return root.getChild(part)


def set_level(level: str) -> None:
    """Log from this level on (DEBUG, INFO, WARNING, ERROR)."""
    logger("settings")  # sets up the lines
    logging.getLogger("crypto_data").setLevel(level)
    for chatty in ("httpx", "httpcore"):  # their lines hold whole URLs, and some upstreams want keys there
        logging.getLogger(chatty).setLevel(logging.WARNING)
