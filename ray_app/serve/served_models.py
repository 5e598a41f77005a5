"""The application `models`: CryptoBERT and FinBERT as Serve deployments, and the way from the gateway to them.

A replica keeps what arrives while its model works, and hands it over together when the model is free: by tokens, not
by texts, since a long text costs as much as ten short ones. Serve cuts the batches; without the gate in front of it
each would be cut as soon as it is begun, and under load the model would get its texts one by one.

A model that cannot be loaded keeps its replica: it answers why, and is tried again. A constructor that raised would
make Serve start it over and over and call the whole application failed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, TypeVar

import ray
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException

from ray_app.observe.log import logger
from ray_app.process.sentiment.errors import ModelError
from ray_app.process.sentiment.model import SentimentModel
from ray_app.process.sentiment.scores import Score
from ray_app.serve.models import ModelState, NoAnswer

log = logger("models")
APPLICATION = "models"
TOKENS = 2_048  # of a batch, until the model says what it likes best
WAIT = 0.005  # seconds for which a batch waits for more: those who were answered together ask again together
AGAIN = 30.0
PATIENCE = 60.0  # seconds for an answer: a replica that sleeps has to load its model first
QUICK = 2.0  # seconds for a state
ALONE = "this gateway is no part of a Ray cluster"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """The texts of one request, and what they cost."""

    texts: tuple[str, ...]
    tokens: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the model cannot be loaded, and what to do."""

    reason: str


def _tokens(asked: Sequence[Asked]) -> int:
    return sum(one.tokens for one in asked)


@serve.deployment(max_ongoing_requests=40, ray_actor_options={"num_cpus": 0.5})
class Model:
    """One replica. `load` gets the device: `cuda` where Serve's configuration gave the replica a GPU, else `cpu`.

    `beside`: another deployment of the application, started with it and not used here. `again`: seconds after which
    a model that could not be loaded is tried again.
    """

    def __init__(
        self,
        name: str,
        load: Callable[[str], SentimentModel],
        beside: Any = None,  # noqa: ARG002  # see above
        again: float = AGAIN,
    ) -> None:
        self._name, self._open = name, partial(load, device())
        self._model: SentimentModel | None = None
        self._refusal, self._pause, self._try_at = "", again, 0.0
        self._loading = asyncio.Lock()
        self._free = asyncio.Event()
        self._free.set()
        self._load()

    async def score(self, texts: Sequence[str]) -> list[Score] | Refusal:
        """One score per text, in their order."""
        model = await self._loaded()
        if model is None:
            return Refusal(self._refusal)
        tokens = sum(await asyncio.to_thread(model.tokens, texts))
        await self._free.wait()
        scores: list[Score] = await self._batched(Asked(tuple(texts), min(max(1, tokens), model.at_once)))
        return scores

    async def state(self) -> str:
        """Why the model could not be loaded; empty where it is. Tries nothing: health asks all the time."""
        return self._refusal

    @serve.batch(max_batch_size=TOKENS, batch_wait_timeout_s=WAIT, batch_size_fn=_tokens)
    async def _batched(self, asked: list[Asked]) -> list[list[Score]]:
        assert self._model is not None
        self._free.clear()
        try:
            texts = [text for one in asked for text in one.texts]
            scores = iter(await asyncio.to_thread(self._model.score, texts))
        finally:
            self._free.set()
        return [[next(scores) for _ in one.texts] for one in asked]

    async def _loaded(self) -> SentimentModel | None:
        async with self._loading:
            if self._model is None and time.monotonic() >= self._try_at:
                await asyncio.to_thread(self._load)
        return self._model

    def _load(self) -> None:
        try:
            self._model = self._open()
        except Exception as error:  # noqa: BLE001  # whatever it is, it has to be told and must not end the replica
            said = str(error) if isinstance(error, ModelError) else f"{type(error).__name__}: {error}"
            if said != self._refusal:
                log.error("a model cannot be loaded", extra={"model": self._name, "error": said})
            self._refusal, self._try_at = said, time.monotonic() + self._pause
            return
        self._refusal = ""
        batched: Any = self._batched  # Serve's types do not show what it hangs on the function
        batched.set_max_batch_size(self._model.at_once)
        log.info("model loaded", extra={"model": self._name, **told(self._model)})


def device() -> str:
    """What this process may calculate on: a GPU only where Ray gave it one."""
    return "cuda" if ray.get_runtime_context().get_accelerator_ids().get("GPU") else "cpu"


def told(model: SentimentModel) -> dict[str, str]:
    return {"id": model.id, "digest": model.digest, "numbers": model.identity.numbers}


class ServedModels:
    """The models in the application of that name. `deployments`: by route, which one answers it."""

    def __init__(self, deployments: Mapping[str, str], application: str = APPLICATION) -> None:
        self._deployments, self._application = deployments, application
        self._handles: dict[str, Any] = {}
        self._asking: asyncio.Future[Any] | None = None

    async def score(self, model: str, texts: Sequence[str]) -> Sequence[Score]:
        if not ray.is_initialized():  # Serve would start a Ray of its own to look for the application
            raise NoAnswer(f"{model} does not run on this node", ALONE)
        try:
            async with asyncio.timeout(PATIENCE):
                handle = await self._handle(self._deployments[model])
                found = await handle.score.remote(list(texts))
        except TimeoutError:
            self._handles.clear()
            raise NoAnswer(
                f"{model} did not answer within {PATIENCE:.0f} s: it is being loaded or has much to do; "
                "try again, or send fewer texts"
            ) from None
        except (RayServeException, RayError) as error:
            self._handles.clear()
            self._explain(model, error)
        if isinstance(found, Refusal):
            raise NoAnswer(f"{model} cannot be loaded on this node", found.reason)
        scores: Sequence[Score] = found
        return scores

    async def states(self) -> Mapping[str, ModelState]:
        deployments = list(dict.fromkeys(self._deployments.values()))
        found = dict(zip(deployments, await asyncio.gather(*map(self._state, deployments)), strict=True))
        return {model: found[deployment] for model, deployment in self._deployments.items()}

    def _explain(self, model: str, error: Exception) -> NoReturn:
        if isinstance(error, BackPressureError):
            raise NoAnswer(f"{model} has too much to do; try again later") from error
        if isinstance(error, RayTaskError):  # a mistake of ours in the replica
            raise error
        raise NoAnswer(f"{model} does not run on this node", f"{type(error).__name__}: {error}") from error

    async def _handle(self, deployment: str) -> Any:
        if deployment not in self._handles:
            ask = partial(serve.get_deployment_handle, deployment, self._application)
            try:
                self._handles[deployment] = await asyncio.to_thread(ask)
            except KeyError as error:
                raise RayServeException(f"there is no application `{self._application}`") from error
        return self._handles[deployment]

    async def _state(self, deployment: str) -> ModelState:
        if not ray.is_initialized():
            return ModelState("missing", ALONE)
        status = await self._status()
        if status is None:
            return ModelState("degraded", "Serve does not say how its applications are")
        application = status.applications.get(self._application)
        if application is None or deployment not in application.deployments:
            if application is not None and application.status in ("NOT_STARTED", "DEPLOYING"):
                return ModelState("pending", f"the application `{self._application}` is being started")
            said = application.message if application is not None else ""
            return ModelState("missing", said or f"there is no application `{self._application}`")
        one = application.deployments[deployment]
        if one.status in ("UNHEALTHY", "DEPLOY_FAILED"):
            return ModelState("dead", one.message)
        if not one.replica_states.get("RUNNING"):
            return ModelState("available", "no replica runs; the first request starts one")
        handle = await self._handle(deployment)
        refusal = await quickly(handle.state.remote())
        if refusal is None:
            return ModelState("degraded", f"it did not say how it is within {QUICK:.0f} s")
        return ModelState("missing", refusal) if refusal else ModelState("available")

    async def _status(self) -> Any:
        """What Serve says of its applications, asked once at a time; None when it says nothing."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.ensure_future(asyncio.to_thread(serve.status))
        return await quickly(asyncio.shield(self._asking))


async def quickly(asked: Awaitable[T]) -> T | None:
    """The answer, or None where there is none in time."""
    try:
        async with asyncio.timeout(QUICK):
            return await asked
    except (TimeoutError, RayError, RayServeException):
        return None
