"""Exports: ask for one, wait until it is made, fetch its files, check them, read them as one frame.

A file that breaks off is fetched from where it broke; one that does not have its checksum is fetched once more from the
start. With a folder of your own what is there already is not fetched again, also after a restart.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ray_app.client.answers.exports import Export, ExportedFile, Manifest
from ray_app.client.asking import answered, judged, read_model
from ray_app.client.drivers import Driver
from ray_app.client.effects import Close, Open, Plan, Read, Received, Request, Wait, Work
from ray_app.client.errors import ClientError, Damaged, ExportFailed, ExportUnfinished, Unreachable
from ray_app.client.routes import escaped

if TYPE_CHECKING:
    import polars as pl

ROUTE, FILE = "/api/v1/export", "/api/v1/export/{export}/files/{name}"
WITHIN = 3600.0  # seconds that an export is waited for
FIRST_LOOK, LONGEST_LOOK, SLOWER = 0.3, 15.0, 1.5  # seconds between two looks, and how they grow
SILENCE = 60.0  # seconds without a byte of a file


def done(driver: Driver, export: str, within: float) -> Plan[Export]:
    """Raises ExportFailed, ExportUnfinished."""
    clock, pause = driver.patience.clock, FIRST_LOOK
    ends = clock() + within
    request = Request("GET", f"{ROUTE}/{escaped('export', export)}")
    while True:
        found = read_model(Export, (yield from answered(request, driver.patience, driver.kept)))
        if found.state == "done":
            return found
        if found.state not in ("queued", "running"):
            raise ExportFailed(export, found.reason or found.state)
        if clock() + pause > ends:
            raise ExportUnfinished(export, found.state, within)
        yield Wait(pause)
        pause = min(LONGEST_LOOK, pause * SLOWER)


def framed(driver: Driver, export: str, folder: str | Path | None, within: float) -> "Plan[pl.DataFrame]":
    made = yield from done(driver, export, within)
    with ExitStack() as stack:
        place = folder or stack.enter_context(tempfile.TemporaryDirectory(prefix="export-"))
        paths = yield from fetched(driver, made, Path(place))
        rows: pl.DataFrame = yield Work(lambda: read(paths, _manifest(made)))
    return rows


def read(paths: list[Path], manifest: Manifest) -> "pl.DataFrame":
    """The files as one frame. Raises Damaged when rows are missing."""
    import polars as pl

    files = [path for path in paths if path.suffix == ".parquet"]
    rows = pl.concat([pl.read_parquet(path) for path in files]) if files else pl.DataFrame()
    if rows.height != manifest.rows:
        raise Damaged(manifest.export, f"{rows.height} rows, and the manifest says {manifest.rows}")
    return rows


def fetched(driver: Driver, export: Export, folder: Path) -> Plan[list[Path]]:
    """Its files in the folder, each with its checksum, then manifest.json. Raises Damaged, and as any call."""
    manifest = _manifest(export)
    yield Work(lambda: folder.mkdir(parents=True, exist_ok=True))
    paths: list[Path] = []
    for file in manifest.files:
        paths += [(yield from _file(driver, export.id, file, folder))]
    about = folder / "manifest.json"
    text = manifest.model_dump_json(by_alias=True, indent=1)
    yield Work(lambda: about.write_text(text, "utf-8"))
    return [*paths, about]


def _manifest(export: Export) -> Manifest:
    if export.manifest is None:
        raise ExportFailed(export.id, "it is done and has no manifest")
    return export.manifest


def _file(driver: Driver, export: str, file: ExportedFile, folder: Path) -> Plan[Path]:
    if Path(file.name).name != file.name or file.name.startswith(".") or "\\" in file.name:
        raise Damaged(file.name, "a file's name must not lead anywhere")  # whoever wrote the manifest
    target, part = folder / file.name, folder / f"{file.name}.part"
    if (yield Work(lambda: _holds(target, file))):
        return target
    for _ in range(2):
        yield from _bytes(driver, export, file, part)
        if (yield Work(lambda: _holds(part, file))):
            yield Work(lambda: part.replace(target))
            return target
        yield Work(lambda: part.unlink(missing_ok=True))
    raise Damaged(file.name, f"it has not the checksum {file.sha256}, also when it is fetched anew")


def _bytes(driver: Driver, export: str, file: ExportedFile, part: Path) -> Plan[None]:
    """The rest of the file. Tried again while that helps; what got on counts as a first attempt."""
    path = FILE.replace("{export}", escaped("export", export)).replace("{name}", escaped("name", file.name))
    whole = Request("GET", path, headers={"accept-encoding": "identity"})
    patience = driver.patience
    attempt, well_at, there = 0, patience.clock(), (yield Work(lambda: _size(part)))
    while there < file.bytes:
        request = whole if not there else whole.having(range=f"bytes={there}-", if_range=f'"{file.sha256}"')
        error: ClientError = Unreachable(f"{file.name}: the answer ended before the file")
        try:
            got: Received = yield Open(request, SILENCE)
            if (refused := judged(got)) is not None:
                error = refused
            else:
                yield from _written(part, "ab" if got.status == 206 else "wb", file.bytes)
        except Unreachable as broken:
            error = broken
        yield Close()
        before, there = there, (yield Work(lambda: _size(part)))
        if there >= file.bytes:
            return
        if there > before:
            attempt, well_at = 0, patience.clock()
        attempt += 1
        wait = patience.pause(error, attempt, patience.clock() - well_at, safe=True)
        if wait is None:
            raise error
        yield Wait(wait)


def _written(part: Path, mode: str, most: int) -> Plan[None]:
    """What is open into the file. What is longer than announced is not the file: its checksum will tell."""
    opened: IO[bytes] = yield Work(lambda: part.open(mode))
    with opened:
        while (some := (yield Read())) is not None:
            yield Work(_writing(opened, some))
            if opened.tell() > most:
                return


def _writing(opened: IO[bytes], some: bytes) -> Callable[[], Any]:
    return lambda: opened.write(some)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _holds(path: Path, file: ExportedFile) -> bool:
    """Whether it is there, whole and right."""
    if not path.exists() or path.stat().st_size != file.bytes:
        return False
    digest = sha256()
    with path.open("rb") as opened:
        while some := opened.read(1 << 20):
            digest.update(some)
    return digest.hexdigest() == file.sha256
