"""The work of one export: its pieces become Parquet files, near by or by a pool of actors of Ray Data.

A worker that died leaves no half of a file. Whoever takes the export again writes its files anew: they are the same,
since the request says as of when; only a post that was deleted meanwhile is gone.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import ray

from ray_app.derive.manifest import manifest
from ray_app.derive.pieces import Cutting, decimals
from ray_app.model.collected import Lease
from ray_app.model.errors import StoreUnavailable
from ray_app.model.export import COMPUTED, FEATURES, ExportRequest, Made, Piece, moment
from ray_app.runtime.opening import Node, Opening
from ray_app.store.engine import dumps
from ray_app.store.export_files import MANIFEST, ExportFiles
from ray_app.store.exports import Export

NEAR = 250_000  # rows that are read in the process that looks after exports; more goes to a pool
WORKED_OUT = 100  # what a row of features that is worked out costs more than one that is read
POOL_CPUS = 0.5  # of an actor: the node that collects keeps the rest
PROGRESS = 2.0  # seconds between looks at how far the pool is
ARROW = {pl.String: "string", pl.Float64: "double", pl.Int64: "int64", pl.Boolean: "bool"}

Pool = Callable[[str, Sequence[Piece]], Iterator[Made]]


async def make(node: Node, files: ExportFiles, request: ExportRequest, export: str, piece: Piece) -> Made:
    """Read a piece and write its file."""
    frame = await Cutting(node.store, node.registry, request).frame(piece)
    return await asyncio.to_thread(_write, files, export, piece, frame)


def _write(files: ExportFiles, export: str, piece: Piece, frame: pl.DataFrame) -> Made:
    columns = tuple((name, _arrow(kind)) for name, kind in frame.schema.items())
    if frame.is_empty():
        return Made(piece=piece, rows=0, written=0, bytes=0, sha256="", columns=columns)
    written = 0

    def fill(path: Path) -> None:
        nonlocal written
        frame.write_parquet(path, compression="zstd", statistics=True)
        written = pl.scan_parquet(path).select(pl.len()).collect().item()  # what a reader will find

    size, digest = files.write(export, piece.name, fill)
    return Made(piece=piece, rows=frame.height, written=written, bytes=size, sha256=digest, columns=columns)


def _arrow(kind: pl.DataType) -> str:
    if isinstance(kind, pl.Datetime):
        return f"timestamp[{kind.time_unit}, tz=UTC]"
    return ARROW[type(kind)]


async def export_job(
    node: Node, files: ExportFiles, export: Export, lease: Lease, pool: Pool | None = None
) -> dict[str, Any]:
    """Make every file of an export that has begun, and say that it is done; its manifest. `pool` None: near by.

    Raises RowsLost, ValueError for what cannot be worked out any more, OSError where no file can be written, Fenced.
    """
    request, exports = export.request, node.store.exports
    await asyncio.to_thread(files.remove, export.id)  # what an attempt before this one left
    pieces = await Cutting(node.store, node.registry, request).pieces()
    counted = sum({one.group: one.counted for one in pieces}.values())
    await exports.planned(export.id, counted, len(pieces), lease)
    made: list[Made] = []
    if pool is None or counted * _weight(request) <= NEAR:
        for piece in pieces:
            made.append(await make(node, files, request, export.id, piece))
            await exports.progress(export.id, len(made), lease)
    else:
        work = asyncio.create_task(asyncio.to_thread(_gather, pool, export.id, pieces, made))
        while not (await asyncio.wait({work}, timeout=PROGRESS))[0]:
            await exports.progress(export.id, len(made), lease)
        work.result()
    now = node.clock.now()
    told = manifest(
        export.id, request, pieces, made,
        exact=decimals(request.what), release=node.release, simulated=node.simulated, at=now,
    )  # fmt: skip
    expires_at = now + node.exports_kept
    told["expires_at"] = moment(expires_at)
    text = dumps(told).encode()
    await asyncio.to_thread(files.write, export.id, MANIFEST, lambda path: _put(path, text))
    await exports.done(export.id, told, now, expires_at, lease)
    return told


def _put(path: Path, text: bytes) -> None:
    path.write_bytes(text)


def _weight(request: ExportRequest) -> int:
    anew = request.what in COMPUTED and not (request.what == FEATURES and request.known_by is None)
    return WORKED_OUT if anew else 1


def _gather(pool: Pool, export: str, pieces: Sequence[Piece], made: list[Made]) -> None:
    made.extend(pool(export, pieces))


class PieceWriter:
    """An actor of the pool: opens the node's parts once, then makes one piece after another.

    What may go wrong is told in the row: Ray would wrap it, and nobody could tell a database that is away from a bug.
    """

    def __init__(self, opening: Opening, export: str) -> None:
        self._export = export
        self._loop = asyncio.new_event_loop()
        self._node: Node = self._loop.run_until_complete(opening())

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        done = {"made": "", "failed": "", "told": "", "errno": 0}
        try:
            made = self._loop.run_until_complete(self._make(Piece.model_validate_json(row["piece"])))
        except StoreUnavailable as error:
            return done | {"failed": "store", "told": error.detail}
        except OSError as error:
            return done | {"failed": "files", "told": error.strerror or "", "errno": error.errno or 0}
        except ValueError as error:
            return done | {"failed": "request", "told": str(error)}
        return done | {"made": made.model_dump_json()}

    def close(self) -> None:
        """Where the actor's process goes on without it."""
        self._loop.run_until_complete(self._node.close())
        self._loop.close()

    async def _make(self, piece: Piece) -> Made:
        found = await self._node.store.exports.find(self._export)
        if found is None or self._node.exports is None:
            raise ValueError(f"there is no export {self._export} here, or no folder for its files")
        return await make(self._node, self._node.exports, found.request, self._export, piece)


def made_in(row: dict[str, Any]) -> Made:
    """What an actor told of a piece. Raises what went wrong there."""
    match row["failed"]:
        case "store":
            raise StoreUnavailable(row["told"])
        case "files":
            raise OSError(row["errno"], row["told"])
        case "request":
            raise ValueError(row["told"])
    return Made.model_validate_json(row["made"])


def pooled(opening: Opening, actors: int, export: str, pieces: Sequence[Piece]) -> Iterator[Made]:
    """By a pool of actors, each of which opens the node once; in whatever order they are done."""
    items = [{"piece": one.model_dump_json()} for one in pieces]
    writer: Any = (
        PieceWriter  # map takes a class and makes a pool of actors of it; its types know functions only
    )
    pool = ray.data.ActorPoolStrategy(min_size=1, max_size=actors)
    done = ray.data.from_items(items, override_num_blocks=len(items)).map(
        writer, fn_constructor_args=(opening, export), compute=pool, num_cpus=POOL_CPUS
    )
    for row in done.iter_rows():
        yield made_in(row)


def pool_of(opening: Opening, actors: int) -> Pool:
    return partial(pooled, opening, actors)
