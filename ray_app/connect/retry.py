"""How long to wait before the next attempt at a page."""

import random

from ray_app.model.errors import RateLimited, Transient, UpstreamError

FIRST, LONGEST = 0.5, 30.0  # seconds
PARK = 120.0  # a source that asks for more is not worth holding a worker for


def pause(error: UpstreamError, attempt: int) -> float | None:
    """Seconds to wait after failed attempt number `attempt` (from 1); None: do not try again now.

    A refused rate is waited out by the keeper, which hands out no turn before its time.
    """
    if isinstance(error, RateLimited):
        return None if error.retry_after is not None and error.retry_after > PARK else 0.0
    if isinstance(error, Transient):
        return float(min(LONGEST, FIRST * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0))
    return None
