"""Which upstreams the simulator acts as, besides CoinGecko."""

from collections.abc import Mapping

from starlette.types import ASGIApp

from ray_app.simulator.bci import BlockchainInfo
from ray_app.simulator.coinmetrics import CoinMetrics
from ray_app.simulator.edgar.upstream import Edgar
from ray_app.simulator.etherscan import Etherscan
from ray_app.simulator.exchanges.binance import Binance
from ray_app.simulator.exchanges.binance_futures import BinanceFutures
from ray_app.simulator.exchanges.binance_ws import PREFIX, BinanceStreams
from ray_app.simulator.exchanges.coinbase import Coinbase
from ray_app.simulator.exchanges.kraken import Kraken
from ray_app.simulator.fng import FearAndGreed
from ray_app.simulator.fred.gate import Fred
from ray_app.simulator.guardian.upstream import Guardian
from ray_app.simulator.llama import Llama
from ray_app.simulator.mempool import Mempool
from ray_app.simulator.openai.upstream import OpenAI
from ray_app.simulator.reddit.access import RedditWww
from ray_app.simulator.reddit.upstream import Reddit
from ray_app.simulator.rss.upstream import Web
from ray_app.simulator.simulation import Simulation
from ray_app.simulator.stablecoins import Stablecoins
from ray_app.simulator.upstream import Upstream
from ray_app.simulator.x.upstream import X


def upstreams(simulation: Simulation) -> list[Upstream]:
    """One object per host, each with a prefix of its own. Append yours in a line of its own."""
    made: list[Upstream] = [
        Binance(simulation),
        BinanceFutures(simulation),
        Coinbase(simulation),
        Kraken(simulation),
        Fred(simulation),
        CoinMetrics(simulation),
        Mempool(simulation),
        BlockchainInfo(simulation),
        Llama(simulation),
        Stablecoins(simulation),
        Etherscan(simulation),
        FearAndGreed(simulation),
        Web(simulation),
        Edgar(simulation),
        Guardian(simulation),
        RedditWww(simulation),
        Reddit(simulation),
        X(simulation),
        OpenAI(simulation),
    ]
    return made


def sockets(simulation: Simulation) -> Mapping[str, ASGIApp]:
    """Hosts of WebSockets under their prefixes."""
    return {PREFIX: BinanceStreams(simulation)}
