"""Ctrl-C and SIGTERM while a node starts: what has been started is stopped, whenever they come."""

import contextlib
import signal
import sys
from collections.abc import Iterator


def stop_at_sigterm() -> None:
    """Let SIGTERM do what Ctrl-C does: leave every context, which stops what it started, and exit."""

    def stop(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough: stopping must not be interrupted
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, stop)


@contextlib.contextmanager
def signals_wait() -> Iterator[None]:
    """Ctrl-C and SIGTERM take effect when what is inside is done. Ray puts no handler of its own meanwhile."""
    from ray._private import utils  # there is no public way to keep `ray.init` from taking SIGTERM

    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in numbers}
    rays_own = utils.set_sigterm_handler
    utils.set_sigterm_handler = lambda _: None
    try:
        yield
    finally:
        utils.set_sigterm_handler = rays_own
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
