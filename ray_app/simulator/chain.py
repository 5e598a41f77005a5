"""The simulated Bitcoin chain: when its blocks come, how hard they are, what they pay.

Every upstream that speaks of Bitcoin is told from here, each in its own units, so that the same quantity
from two of them agrees.
"""

from collections.abc import Sequence

from ray_app.simulator.drift import DAY_SECONDS, Drift
from ray_app.simulator.noise import fraction, key

BLOCK_MS = 600_000
# Block 840,000 came on 2024-04-20. The real chain was a little faster before, so its first years do not match.
START_MS = 1_713_571_767_000 - 840_000 * BLOCK_MS
RETARGET = 2_016  # blocks between two changes of the difficulty
HALVING = 210_000
COIN = 100_000_000  # satoshi
HASH_RATE = Drift(7.5e20, 0.4, 0.08)  # hashes a second
FEE = Drift(4.0, 0.0, 2.5)  # satoshi per virtual byte for the next block
WAITING = Drift(45_000, 0.0, 0.8)  # transactions in the mempool
BLOCK_TRANSACTIONS = Drift(3_000, 0.05, 0.3)


class Chain:
    """Blocks of one seed. Times are milliseconds since 1970."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._difficulties: dict[int, float] = {}

    def mined_ms(self, height: int) -> int:
        """When a block was found. Blocks come in order, from 20 seconds to 19 minutes apart."""
        jitter = fraction(self._seed, "block", height) - 0.5
        return START_MS + height * BLOCK_MS + int(jitter * (BLOCK_MS - 20_000))

    def tip(self, at_ms: int) -> int:
        """The height of the newest block at a time."""
        height = (at_ms - START_MS) // BLOCK_MS + 1
        while self.mined_ms(height) > at_ms:
            height -= 1
        return height

    def first_of_day(self, day: int) -> int:
        """The height of the first block found on the UTC day that starts at that second."""
        return self.tip(day * 1000 - 1) + 1

    def blocks_of_day(self, day: int) -> int:
        return self.first_of_day(day + DAY_SECONDS) - self.first_of_day(day)

    def hash_rate(self, seconds: int) -> float:
        """Hashes a second."""
        return self.hash_rates([seconds])[0]

    def hash_rates(self, seconds: Sequence[int]) -> list[float]:
        rates: list[float] = HASH_RATE.at(self._seed, "hash rate", seconds).tolist()
        return rates

    def difficulty(self, height: int) -> float:
        """In force at that height: set at the last retarget to match the hash rate then."""
        retarget = height - height % RETARGET
        if retarget not in self._difficulties:
            rate = self.hash_rate(self.mined_ms(retarget) // 1000)
            self._difficulties[retarget] = round(rate * 600 / 2**32, 2)
        return self._difficulties[retarget]

    def subsidy(self, height: int) -> int:
        """Satoshi that a block creates."""
        return (50 * COIN) >> (height // HALVING)

    def minted(self, height: int) -> int:
        """Satoshi that exist after a block."""
        total, at = 0, 0
        while at <= height:
            end = min(height + 1, at + HALVING)
            total += (end - at) * self.subsidy(at)
            at = end
        return total

    def transactions(self, height: int) -> int:
        return self.transactions_of([height])[0]

    def transactions_of(self, heights: Sequence[int]) -> list[int]:
        mined = [self.mined_ms(height) // 1000 for height in heights]
        means = BLOCK_TRANSACTIONS.at(self._seed, "transactions", mined).tolist()
        drawn = [0.4 + 1.2 * fraction(self._seed, "block transactions", height) for height in heights]
        return [1 + int(mean * share) for mean, share in zip(means, drawn, strict=True)]

    def fees(self, height: int) -> int:
        """Satoshi that a block's transactions pay."""
        return self.fees_of([height])[0]

    def fees_of(self, heights: Sequence[int]) -> list[int]:
        mined = [self.mined_ms(height) // 1000 for height in heights]
        rates = FEE.at(self._seed, "fee", mined).tolist()
        drawn = [0.8 + 0.6 * fraction(self._seed, "block fees", height) for height in heights]
        return [int(rate * 990_000 * share) for rate, share in zip(rates, drawn, strict=True)]

    def fee_rate(self, at_ms: int) -> float:
        """Satoshi per virtual byte that get into the next block, at least 1."""
        return max(1.0, FEE.once(self._seed, "fee", at_ms // 1000))

    def waiting(self, at_ms: int) -> int:
        """Transactions in the mempool."""
        return int(WAITING.once(self._seed, "waiting", at_ms // 1000))

    def block_id(self, height: int) -> str:
        return f"{0:019x}" + "".join(f"{key(self._seed, 'id', height, n):016x}" for n in range(3))[:45]
