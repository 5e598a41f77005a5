"""A model on Ray Data: actors that each load it once, and texts that flow through them in blocks.

Ray Data starts its actors anew for each dataset, so a dataset is a whole portion of texts, and a model is loaded
once for thousands. A block is scored by one call: `SentimentModel.score` sorts by length and cuts by tokens itself.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayTaskError

from ray_app.process.sentiment.errors import BadModel, ModelError
from ray_app.runtime.opening import Load
from ray_app.runtime.scoring import scorer_of, verdict_of
from ray_app.store.scored import VERDICT, Scorer, Verdict

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK = 512  # texts: some seconds of a transformer on a core, so that what is scored is soon written
WORDS = ("reason", "label")


class Reading:
    """What runs in an actor of the pool: blocks of texts in, a verdict for each out. All columns are text."""

    def __init__(self, load: Load) -> None:
        self._model = load()
        self._digest = scorer_of(self._model).digest

    def __call__(self, block: "pa.Table") -> "pa.Table":
        import pyarrow as pa

        made = [verdict_of(score) for score in self._model.score(block.column("said").to_pylist())]
        columns = {
            name: [None if (value := getattr(one, name)) is None else str(value) for one in made]
            for name in VERDICT
        }
        columns |= {"content": block.column("content").to_pylist(), "digest": [self._digest] * len(made)}
        return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


class RayPool:
    """`actors` copies of the model, each with so many CPUs and GPUs of the cluster."""

    def __init__(self, load: Load, actors: int = 1, cpus: float = 1, gpus: float = 0) -> None:
        self._load, self._actors, self._cpus, self._gpus = load, actors, cpus, gpus
        self._scorer: Scorer | None = None

    async def scorer(self) -> Scorer:
        if self._scorer is None:
            task = ray.remote(_scorer).options(num_cpus=self._cpus, num_gpus=self._gpus)
            try:
                self._scorer = await task.remote(self._load)
            except RayTaskError as error:
                if isinstance(error.cause, ModelError):
                    raise error.cause from None
                raise
        return self._scorer

    async def verdicts(self, said: Mapping[str, str]) -> AsyncGenerator[Mapping[str, Verdict]]:
        expected = (await self.scorer()).digest
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as thread:  # one thread: Ray Data's iterators are not to be shared
            blocks = await loop.run_in_executor(thread, self._blocks, dict(said))
            while (block := await loop.run_in_executor(thread, next, blocks, None)) is not None:
                yield _read(block, expected)

    def _blocks(self, said: Mapping[str, str]) -> "Iterator[pa.Table]":
        if not said:
            return iter(())
        rows = [{"content": content, "said": text} for content, text in said.items()]
        blocks = -(-len(rows) // BLOCK)
        pool = ray.data.ActorPoolStrategy(size=min(self._actors, blocks))
        # From items and not from tables: for those a worker first imports Ray Data to count their rows, two seconds.
        read = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
            Reading,
            fn_constructor_args=(self._load,),
            batch_size=None,
            batch_format="pyarrow",
            compute=pool,
            num_cpus=self._cpus,
            num_gpus=self._gpus,
        )
        answers: Iterator[pa.Table] = iter(read.iter_batches(batch_size=None, batch_format="pyarrow"))
        return answers


def _scorer(load: Load) -> Scorer:
    return scorer_of(load())


def _read(block: "pa.Table", expected: str) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    for row in block.to_pylist():
        content, digest = row.pop("content"), row.pop("digest")
        if digest != expected:  # another type of number on another machine: scores of two are never mixed
            raise BadModel(expected[:12], f"an actor of the pool has another model, {digest[:12]}")
        found[content] = Verdict(**{name: _value(name, value) for name, value in row.items()})
    return found


def _value(name: str, value: str | None) -> Any:
    return value if value is None or name in WORDS else Decimal(value)
