"""The application `models` on a real Serve: scores as without it, batches by tokens, models that do not load."""

import asyncio
import contextlib
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from ray_app.app import ModelsArgs, build_models
from ray_app.commands.config import read_config
from ray_app.commands.up import CONFIG
from ray_app.configured import load_with, served_models
from ray_app.model.clock import ManualClock, SystemClock
from ray_app.process.sentiment.model import SentimentModel
from ray_app.process.sentiment.scores import Identity, Probabilities, Reason
from ray_app.process.sentiment.weights import CRYPTOBERT
from ray_app.serve.gateway import Parts, build_app
from ray_app.serve.models import ModelState, NoAnswer
from ray_app.serve.served_models import Model, ServedModels
from ray_app.settings import Settings
from ray_app.store.keys import SCOPES
from ray_app.store.store import Store
from tests.runtime.test_linking import T0, until
from tests.serve.filling import REGISTRY

pytest.importorskip("torch", reason="needs the extra `models`")
from ray_app.process.sentiment import transformer  # after torch is known to be there
from tests.process.sentiment import tiny

Run = Callable[..., ServedModels]
ASLEEP = ModelState("available", "no replica runs; the first request starts one")
HEADLINES = [f"{text} Part {n}" for n, text in enumerate(tiny.CORPUS * 8)]


@pytest.fixture
def serving(ray_session: Any, request: pytest.FixtureRequest) -> Iterator[Run]:
    """Deploy one `Model` as `cryptobert`, by its `load`; its application is called like the test."""
    from ray import serve

    name = request.node.name

    def run(load: Callable[[str], SentimentModel], again: float = 0.0, **options: Any) -> ServedModels:
        deployment: Any = Model
        bound = deployment.options(
            name="cryptobert",
            ray_actor_options={"num_cpus": 0.5},
            graceful_shutdown_wait_loop_s=0.1,
            **options,
        ).bind("cryptobert", load, None, again)
        serve.run(bound, name=name, route_prefix=None)
        return ServedModels({"cryptobert": "cryptobert"}, name)

    yield run
    serve.delete(name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny CryptoBERT."""
    made = tmp_path_factory.mktemp("models") / "cryptobert"
    tiny.roberta(made)
    return made


def of_folder(folder: Path) -> Callable[[str], SentimentModel]:
    """As a replica loads it by the settings."""
    return partial(load_with, Settings(_env_file=None, sentiment=str(folder.parent)), CRYPTOBERT)


async def test_a_sleeping_model_wakes_for_a_request_and_says_what_it_says_without_serve(
    serving: Run, folder: Path
):
    scaling = {"min_replicas": 0, "initial_replicas": 0, "max_replicas": 1}
    models = serving(of_folder(folder), autoscaling_config=scaling)
    for _ in range(2):
        assert await models.states() == {"cryptobert": ASLEEP}, "asking how it is wakes nobody"

    async def awake() -> bool:
        with contextlib.suppress(
            NoAnswer
        ):  # on a machine with much to do it takes more than a request's patience
            return bool(await models.score("cryptobert", ["Wake up"]))
        return False

    await until(awake, 240)
    direct = transformer.load(CRYPTOBERT, folder, device="cpu")
    answers = await asyncio.gather(*(models.score("cryptobert", [text, "🚀"]) for text in HEADLINES))
    for text, (score, wordless), alone in zip(HEADLINES, answers, direct.score(HEADLINES), strict=True):
        assert score.model == direct.identity
        assert score.label == alone.label, text
        assert score.score == pytest.approx(alone.score, abs=1e-2)
        assert (wordless.score, wordless.reason) == (None, "no_words")
    assert await models.states() == {"cryptobert": ModelState("available")}


async def test_what_gathers_while_the_model_works_is_cut_by_tokens(serving: Run, tmp_path: Path):
    """Texts say what they cost. The first keeps the model busy until the others are there."""
    gate, counted, calls = tmp_path / "gate", tmp_path / "counted", tmp_path / "calls"

    class Costly:
        identity = Identity("costly", "w", "t", "l", "float32", "all")
        at_once = 100

        def tokens(self, texts: Sequence[str]) -> Sequence[int]:
            with counted.open("a") as file:
                file.writelines("counted\n" for _ in texts)
            return [int(text.split()[1]) for text in texts]

        def probabilities(self, texts: Sequence[str]) -> Sequence[Probabilities | Reason]:
            with calls.open("a") as file:
                file.write(json.dumps([int(text.split()[1]) for text in texts]) + "\n")
            while not gate.exists():
                time.sleep(0.01)
            return [(1 - (share := int(text.split()[1]) / 1_000), 0.0, share) for text in texts]

    models = serving(lambda _: SentimentModel(Costly()))
    costs = [31, 32, 33, 34, 35, 36, 400, 37, 38]

    async def arrived(number: int) -> bool:
        return _lines(counted) == number

    async def working() -> bool:
        return _lines(calls) == 1

    first = asyncio.create_task(_score(models, "market 90"))
    await until(working, 60)
    others = []
    for number, cost in enumerate(costs, 2):  # one after the other: Serve alone would make a batch of each
        others.append(asyncio.create_task(_score(models, f"market {cost}")))
        await until(partial(arrived, number), 60)
    gate.touch()
    assert await first == pytest.approx(0.18 - 1)
    for cost, task in zip(costs, others, strict=True):
        assert await task == pytest.approx(2 * cost / 1_000 - 1), "each gets its own"
    made = [json.loads(line) for line in calls.read_text().splitlines()]
    assert made[0] == [90]
    assert sorted(cost for some in made[1:] for cost in some) == sorted(costs)
    assert all(sum(some) <= 100 for some in made if some != [400]), made
    assert [400] in made, "a request that costs more than a batch goes alone"
    assert len(made) == 6, f"{made}: nothing gathered"


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


async def _score(models: ServedModels, text: str) -> float | None:
    [score] = await models.score("cryptobert", [text])
    return score.score


def _cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100_000])


def _other_labels(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"id2label": {"0": "a", "1": "b", "2": "c"}}))


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    store = Store(f"sqlite+aiosqlite:///{tmp_path / 'node.db'}", str(tmp_path / "raw"))
    await store.database.prepare(simulated=True)
    yield Parts(
        store=store, redis=None, registry=REGISTRY, clock=ManualClock(T0), simulated=True, release="test"
    )
    await store.close()


async def test_a_broken_model_shows_at_the_route_and_in_health_until_it_is_mended(
    serving: Run, folder: Path, tmp_path: Path, parts: Parts
):
    place = tmp_path / "models" / "cryptobert"
    models = serving(of_folder(place))
    object.__setattr__(parts, "models", models)
    key = await parts.store.keys.create("all", frozenset(SCOPES), SystemClock().now())
    http = httpx.AsyncClient(
        transport=httpx.ASGITransport(build_app(parts)),
        base_url="http://node",
        headers={"Authorization": f"Bearer {key}"},
    )
    broken: list[tuple[Callable[[Path], Any], str]] = [
        (shutil.rmtree, "the folder {place} does not exist: put the files of ElKulako/cryptobert there"),
        (_cut, "{place} cannot be loaded"),
        (_other_labels, "labels ['a', 'b', 'c'], expected ['bearish', 'bullish', 'neutral'] in any order"),
    ]
    async with http:
        for spoil, said in broken:
            _spoilt(folder, place, spoil)
            reason = said.format(place=place)
            answer = await http.post("/api/v1/models/cryptobert", json={"texts": ["Bitcoin rose"]})
            assert answer.status_code == 503, answer.text
            error = answer.json()["error"]
            assert (error["code"], error["details"]["down"]) == ("SERVICE_UNAVAILABLE", ["cryptobert"])
            assert reason in error["details"]["reason"]
            health = (await http.get("/api/v1/health")).json()
            [part] = [one for one in health["parts"] if one["part"] == "models.cryptobert"]
            assert (part["state"], part["required"]) == ("missing", False)
            assert reason in part["reason"]
        _spoilt(folder, place, lambda _: None)
        answer = await http.post("/api/v1/models/cryptobert", json={"texts": ["Bitcoin rose"]})
        assert answer.json()["data"][0]["model"]["id"] == "cryptobert"


def _spoilt(folder: Path, place: Path, spoil: Callable[[Path], Any]) -> None:
    """A fresh copy of the model in its place, spoilt."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(folder, place)
    spoil(place)


async def test_without_the_application_there_is_an_answer_and_no_wait(ray_session: Any):
    nowhere = ServedModels({"finbert": "finbert"}, "nowhere")
    with pytest.raises(NoAnswer, match="there is no application `nowhere`") as refused:
        await nowhere.score("finbert", ["a"])
    assert refused.value.told == "finbert does not run on this node"
    assert await nowhere.states() == {"finbert": ModelState("missing", "there is no application `nowhere`")}


def test_the_applications_deployments_are_those_of_the_configuration():
    application = next(one for one in read_config(CONFIG).applications if one.name == "models")
    root: Any = build_models(ModelsArgs())._bound_deployment
    built = {root.name} | {
        one._bound_deployment.name for one in root.init_args if hasattr(one, "_bound_deployment")
    }
    assert built == {one.name for one in application.deployments} == {"cryptobert", "finbert"}
    for one in application.deployments:
        assert isinstance(one.autoscaling_config, dict)
        assert one.autoscaling_config["min_replicas"] == 0, "a laptop pays for what it uses"


def test_one_embedded_model_is_enough_for_both_routes():
    def deployments(sentiment: str) -> Any:
        found: Any = served_models(Settings(_env_file=None, sentiment=sentiment))
        return found and dict(found._deployments)

    assert deployments("off") is None
    assert deployments("embedded") == {"cryptobert": "cryptobert", "finbert": "cryptobert"}
    assert deployments("some/folder") == {"cryptobert": "cryptobert", "finbert": "finbert"}
