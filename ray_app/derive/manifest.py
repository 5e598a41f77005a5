"""What goes with the files of an export: how they came about, their hashes, and the proof that no row was lost."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from ray_app.model.errors import NodeError
from ray_app.model.export import ExportRequest, Made, Piece, moment

NOTE = "columns of type string with decimal: true hold numbers with all their digits; times are UTC"


class RowsLost(NodeError):
    """What was read or written is not what was counted: the export must not be given away."""


def conserved(pieces: Sequence[Piece], made: Sequence[Made]) -> int:
    """The number of rows. Raises RowsLost unless it is the same as counted, as read, and as the files say."""
    done = {one.piece: one for one in made}
    if lost := [one.name for one in pieces if one not in done]:
        raise RowsLost(f"{len(lost)} of {len(pieces)} pieces were not made, {lost[0]} first")
    for one in made:
        if one.written != one.rows:
            raise RowsLost(f"{one.piece.name} has {one.written} rows, and {one.rows} were read for it")
    read = Counter[int]()
    for one in made:
        read[one.piece.group] += one.rows
    for group, counted in {one.group: one.counted for one in pieces}.items():
        if read[group] != counted:
            of = next(one for one in pieces if one.group == group)
            named = ", ".join(filter(None, (of.dataset, *of.series[:3]))) or of.name
            raise RowsLost(f"{named}: {counted} rows are in the store, and {read[group]} were read")
    return sum(one.rows for one in made)


def manifest(
    export: str,
    request: ExportRequest,
    pieces: Sequence[Piece],
    made: Sequence[Made],
    *,
    exact: Collection[str],
    release: str,
    simulated: bool,
    at: datetime,
) -> dict[str, Any]:
    """As JSON types. `exact`: columns of decimals as text. Raises RowsLost."""
    rows = conserved(pieces, made)
    files = sorted((one for one in made if one.rows), key=lambda one: one.piece.name)
    columns = {one.columns for one in files}
    if len(columns) > 1:
        raise RowsLost(f"the files do not have the same columns: {sorted(columns)}")
    return {
        "export": export,
        "what": request.what,
        "asked": request.asked,
        "as_of": moment(request.as_of),
        "known_by": moment(request.known_by),
        "start": moment(request.start),
        "end": moment(request.end),
        "made_at": moment(at),
        "release": release,
        "simulated": simulated,
        "rows": rows,
        "rows_counted": sum({one.group: one.counted for one in pieces}.values()),
        "bytes": sum(one.bytes for one in files),
        "schema": [
            {"name": name, "type": kind, "decimal": name in exact} for name, kind in next(iter(columns), ())
        ],
        "note": NOTE,
        "feature_set": request.feature_set,
        "terms": [one.model_dump() for one in request.terms],
        "left_out": list(request.left_out),
        "files": [
            {
                "name": one.piece.name,
                "dataset": one.piece.dataset,
                "series": list(one.piece.series),
                "start": moment(one.piece.start),
                "end": moment(one.piece.end),
                "rows": one.rows,
                "bytes": one.bytes,
                "sha256": one.sha256,
            }
            for one in files
        ],
    }
