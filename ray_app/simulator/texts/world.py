"""One simulation's texts, put together once and shared by all that serve them."""

from weakref import WeakKeyDictionary

from ray_app.simulator.simulation import Simulation
from ray_app.simulator.texts.articles import Articles
from ray_app.simulator.texts.posts import Posts
from ray_app.simulator.texts.stories import Market, Stories
from ray_app.simulator.texts.tweets import Tweets


class Texts:
    def __init__(self, simulation: Simulation) -> None:
        seed = simulation.config.seed
        self.market = Market(simulation.world.truth)
        self.stories = Stories(seed, self.market)
        self.articles = Articles(seed, self.stories)
        self.posts = Posts(seed, self.market)
        self.tweets = Tweets(seed, self.market)


_TEXTS: WeakKeyDictionary[Simulation, Texts] = WeakKeyDictionary()


def texts(simulation: Simulation) -> Texts:
    """The texts of this simulation."""
    if simulation not in _TEXTS:
        _TEXTS[simulation] = Texts(simulation)
    return _TEXTS[simulation]
