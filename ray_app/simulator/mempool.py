"""mempool.space, simulated: fees, the mempool, blocks, hash rate, difficulty. Times in s, some in ms.

Over its limit it answers as nginx does: HTML, and not a word about when to come back.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ray_app.simulator.chain import BLOCK_MS, RETARGET, Chain
from ray_app.simulator.drift import DAY_SECONDS, midnight
from ray_app.simulator.noise import fraction, key
from ray_app.simulator.quota import Rolling
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.truth import STEP_MS
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import Rejection, Reply

PER_MINUTE = 200
DAYS = {"3d": 3, "1w": 7, "1m": 30, "3m": 91, "6m": 182, "1y": 365, "2y": 730, "3y": 1095, "all": 100_000}
FIRST_DAY = 1_230_940_800  # 2009-01-03
TEXT, JSON = "text/plain; charset=utf-8", "application/json; charset=utf-8"
BYTES_A_TRANSACTION = 540


def nginx(status: int, reason: str) -> Reply:
    """A page of the server in front."""
    title = f"{status} {reason}"
    body = (
        f"<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    )
    return Reply(status, body.encode(), "text/html")


class Mempool:
    """One upstream: the public host for Bitcoin's present."""

    name, prefix = "mempool", "/mempool/api"
    secret_params: frozenset[str] = frozenset()

    def __init__(self, simulation: Simulation) -> None:
        self._seed, self._world = simulation.config.seed, simulation.world
        self.chain = Chain(self._seed)
        self._minute = Rolling(PER_MINUTE, 60_000)

    def limit(self, asked: Asked) -> Reply | None:
        return nginx(429, "Too Many Requests") if self._minute.arrive(asked.client, asked.now_ms) else None

    def lower(self, per_minute: int) -> None:
        self._minute.limit = per_minute

    def answer(self, asked: Asked) -> Reply:
        if asked.method != "GET":
            raise Rejection(405, "Method Not Allowed", TEXT)
        now_ms, path = asked.now_ms, asked.path.rstrip("/")
        if path == "/blocks/tip/height":
            return Reply(200, str(self.chain.tip(now_ms)).encode(), TEXT)
        if path == "/blocks/tip/hash":
            return Reply(200, self.chain.block_id(self.chain.tip(now_ms)).encode(), TEXT)
        plain: dict[str, Callable[[int], Any]] = {
            "/v1/fees/recommended": self.fees,
            "/fee-estimates": self.estimates,
            "/mempool": self.mempool,
            "/v1/difficulty-adjustment": self.adjustment,
            "/v1/blocks": self.blocks,
            "/v1/prices": self.prices,
        }
        if path in plain:
            return _told(plain[path](now_ms))
        parent, _, last = path.rpartition("/")
        if parent == "/v1/mining/hashrate" and last in DAYS:
            return _told(self.hash_rates(now_ms, DAYS[last]))
        if parent == "/v1/mining/difficulty-adjustments" and last in DAYS:
            return _told(self.adjustments(now_ms, DAYS[last]))
        if parent == "/v1/mining/reward-stats" and last.isdigit() and 0 < int(last) <= 5_000:
            return _told(self.rewards(now_ms, int(last)))
        if parent == "/v1/blocks" and last.isdigit():
            return _told(self.blocks(now_ms, int(last)))
        raise Rejection(404, f"Cannot GET /api{path}", TEXT)

    def fees(self, now_ms: int) -> dict[str, int]:
        fast = self.chain.fee_rate(now_ms)
        told = [max(1, round(fast * share)) for share in (1.0, 0.85, 0.7, 0.3, 0.15)]
        names = ("fastestFee", "halfHourFee", "hourFee", "economyFee", "minimumFee")
        return dict(zip(names, told, strict=True))

    def estimates(self, now_ms: int) -> dict[str, float]:
        """As Esplora tells them: the rate for each number of blocks that one is ready to wait."""
        fast = self.chain.fee_rate(now_ms)
        targets = [*range(1, 26), 144, 504, 1008]
        return {str(target): round(max(1.0, fast / target**0.45), 3) for target in targets}

    def mempool(self, now_ms: int) -> dict[str, Any]:
        count, fast = self.chain.waiting(now_ms), self.chain.fee_rate(now_ms)
        vsize = count * BYTES_A_TRANSACTION
        bins = max(1, min(60, vsize // 50_000))
        histogram = [[round(max(1.0, fast * 1.5 * 0.93**n), 6), vsize // bins] for n in range(bins)]
        total = int(sum(rate * size for rate, size in histogram))
        return {"count": count, "vsize": vsize, "total_fee": total, "fee_histogram": histogram}

    def adjustment(self, now_ms: int) -> dict[str, Any]:
        """Milliseconds, but `previousTime`, which is in seconds."""
        chain, tip = self.chain, self.chain.tip(now_ms)
        start = tip - tip % RETARGET
        begun = chain.mined_ms(start)
        done, remaining = tip - start, start + RETARGET - tip
        mean = (chain.mined_ms(tip) - begun) // done if done else BLOCK_MS
        ratio = chain.difficulty(start) / chain.difficulty(start - 1)
        return {
            "progressPercent": done / RETARGET * 100,
            "difficultyChange": (BLOCK_MS / mean - 1) * 100,
            "estimatedRetargetDate": now_ms + remaining * mean,
            "remainingBlocks": remaining,
            "remainingTime": remaining * mean,
            "previousRetarget": (ratio - 1) * 100,
            "previousTime": begun // 1000,
            "nextRetargetHeight": start + RETARGET,
            "timeAvg": mean,
            "adjustedTimeAvg": mean,
            "timeOffset": 0,
            "expectedBlocks": (now_ms - begun) / BLOCK_MS,
        }

    def hash_rates(self, now_ms: int, span: int) -> dict[str, Any]:
        """One point a day, H/s, today's left out; the retargets of the same time."""
        chain, today = self.chain, midnight(now_ms // 1000)
        first = max(today - span * DAY_SECONDS, FIRST_DAY)
        days, tip = range(first, today, DAY_SECONDS), chain.tip(now_ms)
        retargets = self._retargets(tip, first * 1000)
        return {
            "hashrates": [
                {"timestamp": day, "avgHashrate": rate}
                for day, rate in zip(days, chain.hash_rates(days), strict=True)
            ],
            "difficulty": [
                {
                    "time": chain.mined_ms(height) // 1000,
                    "height": height,
                    "difficulty": chain.difficulty(height),
                    "adjustment": round(chain.difficulty(height) / chain.difficulty(height - 1), 5),
                }
                for height in reversed(retargets)
            ],
            "currentHashrate": chain.hash_rate(now_ms // 1000),
            "currentDifficulty": chain.difficulty(tip),
        }

    def adjustments(self, now_ms: int, days: int) -> list[list[Any]]:
        """Newest first: seconds, height, difficulty, its ratio to the one before."""
        chain = self.chain
        first_ms = max(midnight(now_ms // 1000) - days * DAY_SECONDS, FIRST_DAY) * 1000
        return [
            [
                chain.mined_ms(height) // 1000,
                height,
                chain.difficulty(height),
                round(chain.difficulty(height) / chain.difficulty(height - 1), 5),
            ]
            for height in self._retargets(chain.tip(now_ms), first_ms)
        ]

    def rewards(self, now_ms: int, count: int) -> dict[str, Any]:
        """Amounts in satoshi, as texts."""
        chain, tip = self.chain, self.chain.tip(now_ms)
        heights = range(tip - count + 1, tip + 1)
        fees = sum(chain.fees_of(heights))
        return {
            "startBlock": heights[0],
            "endBlock": tip,
            "totalReward": str(fees + sum(chain.subsidy(height) for height in heights)),
            "totalFee": str(fees),
            "totalTx": str(sum(chain.transactions_of(heights))),
        }

    def blocks(self, now_ms: int, top: int | None = None) -> list[dict[str, Any]]:
        """Fifteen blocks, newest first."""
        tip = self.chain.tip(now_ms)
        top = tip if top is None else min(top, tip)
        return [self._block(height) for height in range(top, max(-1, top - 15), -1)]

    def prices(self, now_ms: int) -> dict[str, int]:
        truth = self._world.truth
        if "bitcoin" not in truth.index:
            raise Rejection(503, "No prices", TEXT)
        step = np.array([now_ms // STEP_MS])
        told: dict[str, int] = {"time": now_ms // 300_000 * 300}
        for code in ("usd", "eur", "gbp", "jpy"):
            if code in self._world.quotes:
                told[code.upper()] = round(
                    float(truth.path(truth.index["bitcoin"], step, self._world.quotes[code])[0])
                )
        return told

    def truth(self, params: Mapping[str, str]) -> Any:
        """The chain at a time: `at_ms`."""
        at_ms = int(params["at_ms"])
        tip = self.chain.tip(at_ms)
        return {
            "tip": tip,
            "hash_rate": self.chain.hash_rate(at_ms // 1000),
            "difficulty": self.chain.difficulty(tip),
            "fee_rate": self.chain.fee_rate(at_ms),
            "waiting": self.chain.waiting(at_ms),
        }

    def _retargets(self, tip: int, since_ms: int) -> list[int]:
        """Heights at which the difficulty changed, newest first."""
        heights = []
        height = tip - tip % RETARGET
        while height > 0 and self.chain.mined_ms(height) >= since_ms:
            heights.append(height)
            height -= RETARGET
        return heights

    def _block(self, height: int) -> dict[str, Any]:
        chain, count = self.chain, self.chain.transactions(height)
        fees = chain.fees(height)
        weight = 3_993_000 - key(self._seed, "weight", height) % 9_000
        seconds = chain.mined_ms(height) // 1000
        return {
            "id": chain.block_id(height),
            "height": height,
            "version": 0x20000000 + key(self._seed, "version", height) % 2**28,
            "timestamp": seconds,
            "bits": 386_000_000 + height // RETARGET,
            "nonce": key(self._seed, "nonce", height) % 2**32,
            "difficulty": chain.difficulty(height),
            "merkle_root": "".join(f"{key(self._seed, 'root', height, n):016x}" for n in range(4)),
            "tx_count": count,
            "size": weight * 2 // 5 + count * 20,
            "weight": weight,
            "previousblockhash": chain.block_id(height - 1),
            "mediantime": chain.mined_ms(max(0, height - 5)) // 1000,
            "stale": False,
            "extras": {
                "reward": chain.subsidy(height) + fees,
                "totalFees": fees,
                "avgFee": fees // count,
                "avgFeeRate": fees * 4 // weight,
                "medianFee": round(fees / weight * 3.2, 6),
                "feeRange": [round(fees / weight * share, 6) for share in (1, 2, 2.6, 3.2, 4, 8, 60)],
                "utxoSetChange": int(6_000 * (fraction(self._seed, "utxo", height) - 0.4)),
                "virtualSize": weight / 4,
                "pool": {
                    "id": 1 + height % 7,
                    "name": f"Simulated Pool {1 + height % 7}",
                    "slug": "simulated",
                },
                "matchRate": 100,
            },
        }


def _told(value: Any) -> Reply:
    return Reply(200, json.dumps(value, separators=(",", ":")).encode(), JSON)
