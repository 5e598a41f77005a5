"""Make the facts again from raw pages: after a crash for the last days, or all into an empty store.

With the same parser version the result equals what was stored: ids come from content, times from the pages.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ray_app.collect.collector import parsed
from ray_app.model.collected import Collected, slice_of
from ray_app.model.errors import Malformed
from ray_app.model.source import Page, Slice, Source, Stream


class Raw(Protocol):
    def manifests(self, since: datetime | None = None) -> Iterable[dict[str, Any]]: ...
    def page_names(self) -> dict[str, str]: ...
    def named(self, name: str) -> Page: ...


class Writes(Protocol):
    async def commit(self, collected: Sequence[Collected]) -> Any: ...


@dataclass(slots=True)
class Replayed:
    """What a replay did: manifests read, and those that could not be replayed with the reason."""

    manifests: int = 0
    records: int = 0
    set_aside: int = 0
    problems: list[str] = field(default_factory=list)


def collected_again(
    manifest: Mapping[str, Any], pages: list[Page], streams: Mapping[str, tuple[Source, Sequence[Stream]]]
) -> Collected:
    """The slice that a manifest speaks of, made from its pages by the parser that fits.

    Raises KeyError for a stream that no source has, Malformed when the pages cannot be read any more.
    """
    received_at = datetime.fromisoformat(manifest["received_at"])
    wanted = slice_of(manifest)
    source, versions = streams[_name(manifest)]
    if manifest["outcome"] != "covered":
        return Collected(
            source=source.name,
            stream=manifest["stream"],
            parser=manifest["parser"],
            slice=wanted,
            outcome=manifest["outcome"],
            received_at=datetime.fromisoformat(manifest["first_at"]),
            reason=manifest["reason"],
            topic=versions[0].topic,
        ).received(received_at)
    found = _parsed(source, versions, manifest["parser"], wanted, pages)
    return found if found.received_at == received_at else found.received(received_at)


def _parsed(
    source: Source, versions: Sequence[Stream], parser: str, wanted: Slice, pages: list[Page]
) -> Collected:
    """Plans differ in how they answer for one stream: the parser of the same name, in any version, reads."""
    name = parser.partition("/")[0]
    fitting = [stream for stream in versions if stream.parser.partition("/")[0] == name]
    if not fitting:
        raise KeyError(f"{source.name} has no parser {name!r} any more")
    return parsed(source, fitting[0], wanted, pages)


def _name(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['source']}.{manifest['stream']}"


def by_name(sources: Iterable[Source]) -> dict[str, tuple[Source, list[Stream]]]:
    """Every stream of every plan, under source.stream."""
    out: dict[str, tuple[Source, list[Stream]]] = {}
    for source in sources:
        for plan in source.plans:
            for stream in (*plan.streams, *(feed.stores for feed in plan.feeds)):
                versions = out.setdefault(f"{source.name}.{stream.name}", (source, []))[1]
                if all(stream.parser != other.parser for other in versions):
                    versions.append(stream)
    return out


async def replay(
    raw: Raw,
    writes: Writes,
    sources: Iterable[Source],
    *,
    since: datetime | None = None,
    known: frozenset[str] = frozenset(),
    only: frozenset[str] | None = None,
    announce: bool = False,
) -> Replayed:
    """Commit every manifest whose hash is not `known` (of the streams in `only`), oldest first.

    Without `announce` no events are made.
    """
    streams, names = by_name(sources), None
    done = Replayed()
    for manifest in raw.manifests(since):
        if manifest["hash"] in known or (only is not None and _name(manifest) not in only):
            continue
        names = names if names is not None else raw.page_names()
        done.manifests += 1
        try:
            again = collected_again(manifest, [raw.named(names[page]) for page in manifest["pages"]], streams)
        except (KeyError, ValueError, OSError, Malformed) as error:
            done.problems.append(f"{_name(manifest)} slice {manifest['hash'][:12]}: {error!r}")
            continue
        await writes.commit([again if announce else again.unannounced()])
        done.records += len(again.records)
        done.set_aside += len(again.set_aside)
    return done
