"""What X's answers cost. Every post and every user that goes out is counted, and paid for once a UTC day."""

from dataclasses import dataclass, field
from decimal import Decimal

from ray_app.simulator.clock import instant

POST, USER, COUNTS = Decimal("0.005"), Decimal("0.010"), Decimal("0.005")
CAP = 3_000_000  # posts a month


@dataclass
class Wallet:
    """`credit` in USD; None: no end to it."""

    credit: Decimal | None = None
    cap: int = CAP
    spent: Decimal = Decimal(0)
    posts: int = 0  # returned, each time
    users: int = 0
    requests: int = 0
    by_day: dict[str, int] = field(default_factory=dict)  # posts paid for
    _paid: set[tuple[str, str, str]] = field(default_factory=set)

    def is_empty(self) -> bool:
        return self.credit is not None and self.spent >= self.credit

    def is_capped(self, now_ms: int) -> bool:
        month = f"{instant(now_ms):%Y-%m}"
        return sum(count for day, count in self.by_day.items() if day.startswith(month)) >= self.cap

    def pay(self, now_ms: int, posts: list[str], users: list[str]) -> None:
        """For the ids in an answer. Paying again for the same one on the same day costs nothing."""
        day = f"{instant(now_ms):%Y-%m-%d}"
        self._paid = {one for one in self._paid if one[0] == day}
        self.posts += len(posts)
        self.users += len(users)
        for kind, ids, price in (("post", posts, POST), ("user", users, USER)):
            for id_ in ids:
                if (day, kind, id_) not in self._paid:
                    self._paid.add((day, kind, id_))
                    self.spent += price
                    if kind == "post":
                        self.by_day[day] = self.by_day.get(day, 0) + 1

    def pay_request(self, price: Decimal) -> None:
        self.spent += price

    def told(self) -> dict[str, object]:
        return {
            "credit": None if self.credit is None else str(self.credit),
            "cap": self.cap,
            "spent": str(self.spent),
            "posts": self.posts,
            "users": self.users,
            "requests": self.requests,
            "posts_by_day": dict(self.by_day),
        }
