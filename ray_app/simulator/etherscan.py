"""Etherscan v2, simulated: gas, ether's price and supply. Its errors come with HTTP 200 and a text as result.

Three calls a second over the key; five wrong keys in half a minute shut their caller out.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from ray_app.simulator.drift import DAY_SECONDS, Drift
from ray_app.simulator.faults import Rule
from ray_app.simulator.noise import fraction
from ray_app.simulator.quota import Fixed, Rolling
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.truth import STEP_MS
from ray_app.simulator.upstream import Asked
from ray_app.simulator.wire import Rejection, Reply

KEY = "sim-key"
PER_SECOND, PER_DAY = 3, 100_000
WRONG_KEYS, WRONG_MS = 5, 30_000
TOO_FAST = "Max rate limit reached, please use API Key for higher rate limit"
DAY_SPENT = "Max daily rate limit reached"
WRONG_KEY = "Invalid API Key"
SHUT_OUT = "Too many invalid api key attempts, please try again later"
NO_CHAIN = (
    "Missing or unsupported chainid parameter (required for v2 api), please see "
    "https://api.etherscan.io/v2/chainlist for the list of supported chainids"
)
NO_ACTION = "Error! Missing Or invalid Action name"
NO_MODULE = "Error! Missing Or invalid Module name"
PRO_ONLY = (
    "Sorry, it looks like you are trying to access an API Pro endpoint. Contact us to upgrade to API Pro."
)
PRO_ACTIONS = frozenset({
    "dailyavgblocksize", "dailyblkcount", "dailyblockrewards", "dailyavgblocktime", "dailyavggaslimit",
    "dailygasused", "dailyavggasprice", "dailytxnfee", "dailynewaddress", "dailynetutilization",
    "dailyavghashrate", "dailytx", "dailyavgnetdifficulty", "ethdailyprice", "ethdailymarketcap",
})  # fmt: skip
BLOCK_MS, BLOCK_ZERO_MS = 12_000, 1_663_224_179_000 - 15_537_394 * 12_000  # as since the merge
GAS = Drift(0.9, -0.1, 1.3)  # gwei
STAKED, BURNT, WITHDRAWN = Drift(3.4e24, 0.08, 0.0), Drift(4.5e24, 0.05, 0.0), Drift(2.2e24, 0.2, 0.0)
SUPPLY = Drift(1.221e26, 0.002, 0.0)  # wei


class Etherscan:
    """One upstream: one route, its questions told apart by `module` and `action`."""

    name, prefix = "etherscan", "/etherscan"
    secret_params = frozenset({"apikey"})
    own_faults: Mapping[str, str] = {
        "F04": "Etherscan: 200, NOTOK, the rate limit",
        "F05": "Etherscan: 200, NOTOK, a query timeout",
        "F08": "Etherscan: 200, NOTOK, the key is invalid",
    }

    def __init__(self, simulation: Simulation) -> None:
        self._seed, self._truth = simulation.config.seed, simulation.world.truth
        self._second, self._day = Rolling(PER_SECOND, 1_000), Fixed(PER_DAY, DAY_SECONDS * 1000)
        self._wrong = Rolling(WRONG_KEYS - 1, WRONG_MS)

    def limit(self, asked: Asked) -> Reply | None:
        who = "account" if asked.params.get("apikey") == KEY else asked.client
        too_fast, spent = self._second.arrive(who, asked.now_ms), self._day.arrive(who, asked.now_ms)
        if too_fast or spent:
            return _refused(TOO_FAST if too_fast else DAY_SPENT)
        return None

    def answer(self, asked: Asked) -> Reply:
        if asked.path.rstrip("/") != "/v2/api":
            raise Rejection(404, "<html><body><h1>404 Not Found</h1></body></html>", "text/html")
        params = asked.params
        if params.get("apikey") != KEY:
            shut_out = self._wrong.arrive(asked.client, asked.now_ms)
            return _refused(SHUT_OUT if shut_out else WRONG_KEY)
        if params.get("chainid") != "1":
            return _refused(NO_CHAIN)
        module, action = params.get("module"), params.get("action", "")
        if module not in ("gastracker", "stats", "proxy"):
            return _refused(NO_MODULE)
        if action in PRO_ACTIONS:
            return _refused(PRO_ONLY)
        now_ms = asked.now_ms
        match module, action:
            case "gastracker", "gasoracle":
                return _told(self.gas(now_ms))
            case "gastracker", "gasestimate":
                return _told(str(self._confirmation_seconds(params.get("gasprice", "0"), now_ms)))
            case "stats", "ethprice":
                return _told(self.prices(now_ms))
            case "stats", "ethsupply":
                return _told(self.supplies(now_ms)["EthSupply"])
            case "stats", "ethsupply2":
                return _told(self.supplies(now_ms))
            case "proxy", "eth_blockNumber":
                return _json({"jsonrpc": "2.0", "id": 83, "result": hex(self.block(now_ms))})
        return _refused(NO_ACTION)

    def spoilt(self, rule: Rule, asked: Asked) -> Reply | None:  # noqa: ARG002 - the protocol's
        texts = {"F04": TOO_FAST, "F05": "Query Timeout occured. Please select a smaller result dataset"}
        text = (texts | {"F08": WRONG_KEY}).get(rule.fault)
        return None if text is None else _refused(text)

    def gas(self, now_ms: int) -> dict[str, str]:
        """Gwei; the base fee of the next block and what one pays on top of it."""
        block = self.block(now_ms)
        base = GAS.once(self._seed, "gas", now_ms // 1000)
        used = [0.3 + 0.6 * fraction(self._seed, "gas used", block - n) for n in range(5)]
        return {
            "LastBlock": str(block),
            "SafeGasPrice": f"{base * 1.01:.9f}",
            "ProposeGasPrice": f"{base * 1.08:.9f}",
            "FastGasPrice": f"{base * 1.3:.9f}",
            "suggestBaseFee": f"{base:.9f}",
            "gasUsedRatio": ",".join(repr(share) for share in used),
        }

    def prices(self, now_ms: int) -> dict[str, str]:
        """Ether's price when last looked at, up to five minutes ago."""
        step, index = np.array([now_ms // STEP_MS]), self._truth.index
        told = str(now_ms // STEP_MS * STEP_MS // 1000)
        usd, bitcoin = (float(self._truth.path(index[coin], step)[0]) for coin in ("ethereum", "bitcoin"))
        return {
            "ethbtc": f"{usd / bitcoin:.5f}",
            "ethbtc_timestamp": told,
            "ethusd": f"{usd:.2f}",
            "ethusd_timestamp": told,
        }

    def supplies(self, now_ms: int) -> dict[str, str]:
        """Wei."""
        names = {"EthSupply": SUPPLY, "Eth2Staking": STAKED, "BurntFees": BURNT, "WithdrawnTotal": WITHDRAWN}
        return {name: str(int(drift.once(self._seed, name, now_ms // 1000))) for name, drift in names.items()}

    def block(self, now_ms: int) -> int:
        return (now_ms - BLOCK_ZERO_MS) // BLOCK_MS

    def truth(self, params: Mapping[str, str]) -> Any:
        """What there is to tell at `at_ms`."""
        at_ms = int(params["at_ms"])
        return {"gas": self.gas(at_ms), "prices": self.prices(at_ms), "supplies": self.supplies(at_ms)}

    def _confirmation_seconds(self, wei: str, now_ms: int) -> int:
        base = GAS.once(self._seed, "gas", now_ms // 1000) * 1e9
        return 3_615 if not wei.isdigit() or int(wei) < base else max(12, int(60 * base / int(wei)))


def _told(result: Any) -> Reply:
    return _json({"status": "1", "message": "OK", "result": result})


def _refused(text: str) -> Reply:
    return _json({"status": "0", "message": "NOTOK", "result": text})


def _json(value: Any) -> Reply:
    return Reply(200, json.dumps(value, separators=(",", ":")).encode(), "application/json; charset=utf-8")
