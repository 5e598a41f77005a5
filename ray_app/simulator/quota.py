"""Counting arrivals against a limit: in a window that rolls, or in windows fixed to the clock.

All times are virtual milliseconds. Weights of every arrival count, those of refused ones too.
"""

from collections import deque


class Rolling:
    """At most `limit` weight in any stretch of `window_ms`, per caller."""

    def __init__(self, limit: int, window_ms: int) -> None:
        self.limit, self.window_ms = limit, window_ms
        self._recent: dict[str, deque[tuple[int, int]]] = {}

    def arrive(self, who: str, now_ms: int, weight: int = 1) -> int:
        """Count it; 0 lets it in, else the milliseconds until one of this weight would be let in."""
        recent = self._recent.setdefault(who, deque())
        while recent and recent[0][0] <= now_ms - self.window_ms:
            recent.popleft()
        recent.append((now_ms, weight))
        over = sum(spent for _, spent in recent) - self.limit
        if over <= 0:
            return 0
        over += weight  # the refused one counts too, so the next needs room beside it
        for at, spent in recent:  # the oldest leave first
            over -= spent
            if over <= 0:
                return max(1, at + self.window_ms - now_ms)
        return self.window_ms

    def used(self, who: str, now_ms: int) -> int:
        """Weight within the window that ends now."""
        recent = self._recent.get(who, ())
        return sum(spent for at, spent in recent if at > now_ms - self.window_ms)


class Fixed:
    """At most `limit` weight in each window of the clock, per caller: minutes, slices of ten, days (UTC)."""

    def __init__(self, limit: int, window_ms: int) -> None:
        self.limit, self.window_ms = limit, window_ms
        self._spent: dict[str, tuple[int, int]] = {}

    def arrive(self, who: str, now_ms: int, weight: int = 1) -> int:
        """Count it; 0 lets it in, else the milliseconds until the window ends."""
        spent = self.used(who, now_ms) + weight
        self._spent[who] = (now_ms // self.window_ms, spent)
        return 0 if spent <= self.limit else self.left_ms(now_ms)

    def used(self, who: str, now_ms: int) -> int:
        """Weight within the present window."""
        window, spent = self._spent.get(who, (0, 0))
        return spent if window == now_ms // self.window_ms else 0

    def left_ms(self, now_ms: int) -> int:
        """Milliseconds until the present window ends, at least 1."""
        return self.window_ms - now_ms % self.window_ms


class Bucket:
    """`per_second` calls, and up to `burst` of them at once, per caller."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second, self._burst = per_second, float(burst)
        self._levels: dict[str, tuple[int, float]] = {}

    def change(self, per_second: float) -> None:
        """Give less from now on (or more), and no more at once than that in a second."""
        self._per_second, self._burst = per_second, max(1.0, min(self._burst, per_second))

    def arrive(self, who: str, now_ms: int) -> int:
        """Count it; 0 lets it in, else the milliseconds until one would be let in. A refused one takes none."""
        at, level = self._levels.get(who, (now_ms, self._burst))
        level = min(self._burst, level + (now_ms - at) / 1000 * self._per_second)
        if level < 1:
            self._levels[who] = (now_ms, level)
            return max(1, round((1 - level) / self._per_second * 1000))
        self._levels[who] = (now_ms, level - 1)
        return 0
