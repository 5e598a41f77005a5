"""Exports, as methods: step by step, or as one call that sees an export through to a frame."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray_app.client.answers.exports import Export, ExportList, ExportRow
from ray_app.client.drivers import Driver
from ray_app.client.effects import Plan
from ray_app.client.exports import ROUTE, WITHIN, done, fetched, framed
from ray_app.client.pages import paged
from ray_app.client.routes import Calls, D, Moment, Names, get, planned, post

if TYPE_CHECKING:
    import polars as pl


class Exports(Calls[D]):
    """Exports step by step; `export` of a client does all of it at once. They need the scope `export`."""

    @post(ROUTE, Export, safe=False)
    def ask(
        self,
        what: str,
        *,
        datasets: Names | None = None,
        symbols: Names | None = None,
        series: Names | None = None,
        interval: str | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        features: Names | None = None,
        horizons: list[int] | None = None,
        as_of: Moment | None = None,
        known_by: Moment | None = None,
    ) -> None:
        """Ask for an export; it is made after the answer."""

    @paged(ROUTE, ExportList, ExportRow)
    def mine(self, *, limit: int | None = None, cursor: str | None = None) -> None:
        """The exports of this key's client, newest first."""

    @get(f"{ROUTE}/{{export}}", Export)
    def state(self, export: str) -> None:
        """How an export is; when it is done, with its manifest."""

    @planned
    def wait(self, export: str, *, within: float = WITHIN) -> Plan[Export]:
        """Look until it is done, for at most `within` seconds. Raises ExportFailed, ExportUnfinished."""
        return (yield from done(self._driver, export, within))

    @planned
    def download(self, export: str, folder: str | Path, *, within: float = WITHIN) -> Plan[list[Path]]:
        """Wait for it and fetch its files and manifest.json into `folder`; their paths. Raises Damaged as well."""
        made = yield from done(self._driver, export, within)
        return (yield from fetched(self._driver, made, Path(folder)))

    @planned
    def frame(
        self, export: str, *, folder: str | Path | None = None, within: float = WITHIN
    ) -> "Plan[pl.DataFrame]":
        """Wait for it, fetch it and read it; without a folder its files are gone afterwards."""
        return (yield from framed(self._driver, export, folder, within))


def exported(
    driver: Driver, *, folder: str | Path | None = None, within: float = WITHIN, **asked: Any
) -> "Plan[pl.DataFrame]":
    """Ask for an export and see it through to a frame."""
    export = yield from Exports.ask.plan(driver, **asked)
    return (yield from framed(driver, export.id, folder, within))
