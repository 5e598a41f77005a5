"""The simulator's own time: it can run faster, stand still and jump forward, never back."""

import time
from datetime import UTC, datetime, timedelta


class VirtualClock:
    """Virtual time, in whole milliseconds.

    `wall` is the machine's time at the start; from then on it is followed by the monotonic clock,
    so a ledger's wall times are in order even when somebody sets the machine's clock.
    """

    def __init__(self, start: datetime, wall: datetime, speed: float = 1.0, frozen: bool = False) -> None:
        self._wall, self._born = wall, time.monotonic()
        self._virtual_ms, self._anchor = round(start.timestamp() * 1000), self._born
        self.speed, self.frozen = _checked(speed), frozen

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        if self.frozen:
            return self._virtual_ms
        return self._virtual_ms + int((time.monotonic() - self._anchor) * self.speed * 1000)

    def now(self) -> datetime:
        return instant(self.now_ms())

    def wall(self) -> datetime:
        return self._wall + timedelta(seconds=time.monotonic() - self._born)

    def advance(self, seconds: float) -> None:
        """Jump forward. ValueError: backwards."""
        if seconds < 0:
            raise ValueError(f"time does not go back ({seconds} s)")
        self._settle(self.now_ms() + round(seconds * 1000))

    def advance_to(self, moment: datetime) -> None:
        """Jump to a moment; one that is already past changes nothing, since time ran on meanwhile."""
        self._settle(max(self.now_ms(), round(moment.timestamp() * 1000)))

    def set_speed(self, speed: float) -> None:
        """Virtual seconds per real second."""
        self._settle(self.now_ms())
        self.speed = _checked(speed)

    def freeze(self, frozen: bool) -> None:
        self._settle(self.now_ms())
        self.frozen = frozen

    def _settle(self, now_ms: int) -> None:
        self._virtual_ms, self._anchor = now_ms, time.monotonic()


def instant(milliseconds: int) -> datetime:
    """The aware UTC time of milliseconds since 1970."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=milliseconds)


def iso(milliseconds: int) -> str:
    """`2026-06-01T10:00:00.123Z`, the way CoinGecko writes a time."""
    return instant(milliseconds).strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


def moment(text: str) -> datetime:
    """Read an ISO time; without a zone it is UTC. ValueError: it is no time."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _checked(speed: float) -> float:
    if not 0 <= speed <= 1_000_000:
        raise ValueError(f"speed {speed} is not between 0 and 1000000")
    return speed
