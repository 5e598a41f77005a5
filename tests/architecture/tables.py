"""The parts of the documents that are made from the code: `python -m tests.architecture.tables` writes them anew."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined, to_jsonable_python

from ray_app.client.errors import BY_CODE
from ray_app.client.pages import Pages
from ray_app.client.routes import planned
from ray_app.client.streams import Tells
from ray_app.model.series import Metric, Observation
from ray_app.model.source import Plan, Source, Stream
from ray_app.model.symbols import Registry, load_registry
from ray_app.model.texts import Article, Post
from ray_app.model.timerange import ALWAYS, NEVER
from ray_app.monitoring.alerts import ALERTS
from ray_app.monitoring.boards import BOARDS
from ray_app.monitoring.ray_metrics import RAY
from ray_app.observe.measures import ACTORS, GATEWAY, Measure
from ray_app.process.features.catalogue import FEATURES as FEATURE_LIST
from ray_app.process.features.catalogue import GROUPS
from ray_app.process.indicators.catalogue import OUTPUTS
from ray_app.process.indicators.signals import SIGNALS
from ray_app.serve.streams.declared import CLOSES, SSE, STREAMS, WS
from ray_app.settings import PREFIX, Settings
from ray_app.sources import all_sources, kraken
from ray_app.sources.coingecko import SOURCE as COINGECKO
from ray_app.store.tables import FACTS
from tests.architecture.modules import REPO
from tests.architecture.test_layers import EVERYTHING, MAY_IMPORT
from tests.client.declared import declared

README, OPERATE, ARCHITECTURE, SOURCES, DATA, INDICATORS, FEATURES, STREAMING, METRICS, CLIENT = (
    REPO / name
    for name in (
        "README.md", "docs/operate.md", "docs/architecture.md", "docs/add-a-source.md", "docs/data.md",
        "docs/indicators.md", "docs/features.md", "docs/streams.md", "docs/metrics.md",
        "docs/client.md",
    )
)  # fmt: skip
ENV_EXAMPLE = REPO / ".env.example"
UNITS = {timedelta(days=1): "d", timedelta(hours=1): "h", timedelta(minutes=1): "min"}
EXAMPLE = (kraken.fetch_bars, kraken.only_pair, kraken.parse_bar)
TEXTS = (Article, Post)


def ends(name: str, text: str) -> tuple[int, int]:
    """Where the part between <!-- name: ... --> and <!-- end of name --> begins and ends."""
    mark = text.find(f"<!-- {name}: ")
    start, end = text.find("-->\n", mark) + 4, text.find(f"<!-- end of {name} -->")
    assert 0 <= mark < start <= end, f"no part {name!r}"
    return start, end


def block(text: str, name: str) -> str:
    """What stands between <!-- name: ... --> and <!-- end of name -->."""
    start, end = ends(name, text)
    return text[start:end]


def rows(titles: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A table. A bar inside a cell is written so that it stays there."""
    titles = list(titles)
    head = f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|\n"
    cells = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return head + "".join(f"| {' | '.join(line)} |\n" for line in cells)


def span(length: timedelta) -> str:
    """In days, hours and minutes: 5 min, 6 d 22 h."""
    parts = []
    for unit, name in UNITS.items():
        whole, length = divmod(length, unit)
        parts += [f"{whole:,} {name}"] if whole else []
    assert parts, "a span of seconds"
    assert not length, "a span of seconds"
    return " ".join(parts)


def variable(setting: str) -> str:
    return f"`{PREFIX}{setting.upper()}`"


def settings(model: type[Settings] = Settings) -> list[tuple[str, str, str]]:
    """(variable, default as it is written, meaning) of every setting."""
    out = []
    for name, field in model.model_fields.items():
        default = "" if field.default in (None, PydanticUndefined) else str(to_jsonable_python(field.default))
        choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        meaning = (field.description or "") + (f" ({', '.join(choices)})" if choices else "")
        assert field.description, f"{name} has no line of meaning"
        out.append((PREFIX + name.upper(), default, meaning))
    return out


def settings_table(model: type[Settings] = Settings) -> str:
    text = "| Setting | Default | Meaning |\n|---|---|---|\n"
    for name, default, meaning in settings(model):
        text += f"| `{name}` | {f'`{default}`' if default else ''} | {meaning} |\n"
    return text


def env_example(model: type[Settings] = Settings) -> str:
    text = "# Copy to .env and take the # away from the lines that you set. Git ignores .env.\n"
    return text + "".join(f"\n# {meaning}\n#{name}={default}\n" for name, default, meaning in settings(model))


def plans_table() -> str:
    titles = ("Plan", "Key", "Calls a minute", "Calls a month", "Prices every", "Candles of an hour")
    lines = []
    for plan in COINGECKO.plans:
        month = f"{plan.quota.per_month:,}" if plan.quota.per_month else "no limit stated"
        assert plan.quota.per == timedelta(minutes=1)
        prices, bars = stream(plan, "prices"), stream(plan, "bars_1h")
        if isinstance(bars.offers, datetime):
            since = f"since {bars.offers:%Y-%m-%d}"
        else:
            since = f"built from half-hours, {bars.offers // timedelta(hours=1)} hours back"
        rate = str(plan.quota.calls)
        lines.append((f"`{plan.name}`", keys(plan), rate, month, span(prices.every), since))
    return rows(titles, lines)


def stream(plan: Plan, name: str) -> Any:
    return next(one for one in plan.streams if one.name == name)


def keys(plan: Plan) -> str:
    return ", ".join(variable(name) for name in plan.auth.settings) if plan.auth else "none"


def usual() -> Iterator[tuple[Source, Plan]]:
    """Every source with the plan that the settings' defaults name."""
    for source in all_sources().values():
        field = Settings.model_fields.get(f"{source.name}_plan")
        yield source, source.plan(field.default) if field else source.plans[0]


def sources_table() -> str:
    """One line per source: its streams, those that look equally often together."""
    lines = []
    for source, plan in usual():
        streams = "; ".join(
            f"{', '.join(f'`{one.name}`' for one in group)} every {span(every)}"
            for every, group in groupby(sorted(plan.streams, key=often), often)
        )
        streams += "".join(f"; `{feed.name}` pushed" for feed in plan.feeds)
        llm = ("yes" if source.llm_allowed else "no") if any(s.record in TEXTS for s in plan.streams) else ""
        lines.append((f"`{source.name}`", streams, keys(plan), licences(source, plan.streams), llm))
    return rows(("Source", "Streams", "Key", "Licence", "`llm_allowed`"), lines)


def often(one: Stream) -> timedelta:
    return one.every


def licences(source: Source, streams: Iterable[Stream]) -> str:
    """Of every series; one that most have comes first."""
    registry = load_registry()
    found = [licence(source, one, name) for one in streams for name in one.partitions(registry)]
    return ", ".join(f"`{name}`" for name in sorted(set(found), key=lambda name: (-found.count(name), name)))


def licence(source: Source, one: Stream, name: str) -> str:
    return (one.about[name].licence if name in one.about else "") or source.licence


def _series(one: Stream, registry: Registry) -> str:
    """How many there are; those whose life has an end are told apart."""
    names, lives = one.partitions(registry), one.lives(registry)
    ended = [name for name in names if lives.get(name, ALWAYS).ranges[-1].end != NEVER]
    return f"{len(names) - len(ended):,}" + (f", {len(ended)} ended" if ended else "")


def streams_table() -> str:
    """Every stream of the usual plans."""
    registry = load_registry()
    lines = []
    for source, plan in usual():
        for one in plan.streams:
            name, series = f"`{source.name}.{one.name}`", _series(one, registry)
            waits = (span(one.patience) if one.patience else "", span(one.quiet) if one.quiet else "")
            filled = "" if one.offers is None else span(one.reach) if one.reach else variable("history")
            lines.append((name, one.record.__name__, series, span(one.grain), offered(one), filled, *waits))
    titles = (
        "Stream",
        "Records",
        "Series",
        "Interval",
        "History on offer",
        "Filled back",
        "Patience",
        "Quiet",
    )
    return rows(titles, lines)


def offered(one: Stream) -> str:
    if one.offers is None:
        return "the present only"
    return f"{one.offers:%Y-%m-%d}" if isinstance(one.offers, datetime) else span(one.offers)


def series_table(*kinds: type) -> str:
    """Every described series of these kinds of records."""
    lines = []
    for source, plan in usual():
        for one in (each for each in plan.streams if each.record in kinds):
            for name, about in one.about.items():
                often = about.frequency or f"every {span(one.every)}"
                mine = f"`{licence(source, one, name)}`"
                unit = about.unit or one.unit
                lines.append((f"`{name}`", about.title, unit, often, f"`{source.name}.{one.name}`", mine))
    return rows(("Series", "What it is", "Unit", "Frequency", "Stream", "Licence"), lines)


def texts_table() -> str:
    lines = []
    for source, plan in usual():
        for one in (each for each in plan.streams if each.record in TEXTS):
            lines += [(f"`{source.name}`", f"`{name}`", about.title) for name, about in one.about.items()]
    return rows(("Source", "Feed", "What it is"), lines)


def records_table() -> str:
    lines = []
    for record, table in FACTS.items():
        names = (record.partition_field, record.keyed_by(), record.cursor_field, record.timed_by())
        lines.append((f"`{record.__name__}`", f"`{table.name}`", *(f"`{name}`" for name in names)))
    return rows(("Record", "Table", "Partition", "Key", "Cursor", "Time"), lines)


def layers_table() -> str:
    text = "| Layer | May import |\n|---|---|\n"
    everything = ", ".join(name for name in MAY_IMPORT if MAY_IMPORT[name] == EVERYTHING and name[0] != "_")
    for layer, others in MAY_IMPORT.items():
        if others != EVERYTHING and layer != "__init__":
            text += f"| {layer} | {', '.join(sorted(others)) or 'nothing of ours'} |\n"
    return text + f"| {everything} | everything |\n"


def example() -> str:
    """The three functions of the example source, as they stand there."""
    return "```python\n" + "\n\n".join(inspect.getsource(one) for one in EXAMPLE) + "```\n"


def streams_of_events() -> str:
    titles = ("Stream", "WebSocket", "Server-sent events", "Scope", "Tells", "`fields`")
    lines = []
    for one in STREAMS.values():
        places = (f"`{WS}{one.name}`", f"`{SSE}{one.name}`", f"`{one.scope}`")
        lines.append(
            (one.name, *places, one.describes, ", ".join(f"`{name}`" for name in sorted(one.fields)))
        )
    return rows(titles, lines)


def closes_table() -> str:
    return rows(("Code", "When"), ((str(code), meaning) for code, meaning in CLOSES.items()))


def indicators_table() -> str:
    """One table per family."""
    titles = ("Column", "Formula", "Inputs", "Unit", "Lookback", "Memory")
    text = ""
    for family in dict.fromkeys(one.family for one in OUTPUTS):
        lines = []
        for one in (one for one in OUTPUTS if one.family == family):
            version = f" (version {one.version})" if one.version > 1 else ""
            bars = ("a day", "a day") if one.days else (f"{one.lookback:,}", f"{one.memory:,}")
            lines.append((f"`{one.name}`{version}", one.formula, ", ".join(one.inputs), one.unit, *bars))
        text += f"\n### {family.capitalize()}\n\n{rows(titles, lines)}"
    return text + "\n"


def features_table() -> str:
    """One table per group."""
    titles = ("Column", "Formula", "Inputs", "Unit", "Hours", "Limit")
    text = ""
    for group in GROUPS:
        lines = []
        for one in (one for one in FEATURE_LIST if one.group == group):
            version = f" (version {one.version})" if one.version > 1 else ""
            limit = span(one.limit) if one.limit else ""
            lines.append(
                (
                    f"`{one.name}`{version}",
                    one.formula,
                    ", ".join(one.inputs),
                    one.unit,
                    f"{one.hours:,}",
                    limit,
                )
            )
        text += f"\n### {group.capitalize()}\n\n{rows(titles, lines)}"
    return text + "\n"


def signals_table() -> str:
    lines = ((f"`{one.name}`", one.formula, one.values) for one in SIGNALS)
    return rows(("Signal", "Formula", "Values"), lines)


def oracles_table() -> str:
    """What each is compared with; columns that are compared alike share a line."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for one in OUTPUTS:
        for oracle in one.oracles:
            lines.setdefault((oracle.call, oracle.agrees, oracle.note), []).append(f"`{one.name}`")
    return rows(
        ("Compared with", "Columns", "Equal", "What it does otherwise"),
        (
            (f"`{call}`", ", ".join(names), agrees, note)
            for (call, agrees, note), names in sorted(lines.items())
        ),
    )


def measures_table(measures: Iterable[Measure], before: str = "") -> str:
    titles = ("Metric", "Kind", "Unit", "What it is", "Labels", "Series")
    lines = (
        (
            f"`{before}{one.name}`", one.kind, one.unit, one.meaning,
            ", ".join(f"`{label}`" for label in one.labels), one.bound,
        )
        for one in measures
    )  # fmt: skip
    return rows(titles, lines)


def ray_table() -> str:
    lines = (
        (f"`{one.name}`", one.kind, one.unit, one.meaning, ", ".join(f"`{label}`" for label in one.labels))
        for one in RAY
    )
    return rows(("Metric", "Kind", "Unit", "What it is", "Labels"), lines)


def alerts_table() -> str:
    lines = (
        (f"[{one.name}](runbooks/{one.runbook})", one.severity, one.lasts, f"`{one.expr}`") for one in ALERTS
    )
    return rows(("Alert", "Severity", "After", "When"), lines)


def boards_table() -> str:
    lines = ((one.title, ", ".join(panel.title.lower() for panel in one.panels)) for one in BOARDS)
    return rows(("Dashboard", "Shows"), lines)


def errors_of_client() -> str:
    """The client's errors by the codes that they stand for, with what each has besides."""
    codes: dict[type, list[str]] = {}
    for code, kind in BY_CODE.items():
        codes.setdefault(kind, []).append(f"`{code}`")
    lines = []
    for kind, mine in codes.items():
        more = sorted(f"`{name}`" for name, one in vars(kind).items() if isinstance(one, property))
        lines.append((f"`{kind.__name__}`", ", ".join(sorted(mine)), ", ".join(more)))
    return rows(("Error", "When", "And"), lines)


def methods_of_client() -> str:
    """Every method of a client with the route that it asks."""
    lines = []
    for name, one in sorted(declared(), key=lambda line: ("." in line[0], line[0])):
        what = (one.__doc__ or "").partition("\n")[0] if not isinstance(one, Tells) else "Events, as they are"
        route = "several" if isinstance(one, planned) else f"`{getattr(one, 'method', 'GET')} {one.path}`"
        pages = "yes" if isinstance(one, Pages) else ""
        lines.append((f"`{name}`", route, pages, what.rstrip(".")))
    return rows(("Method", "Route", "Pages", "Gives"), lines)


MADE: dict[tuple[Path, str], Callable[[], str]] = {
    (README, "plans"): plans_table,
    (README, "sources"): sources_table,
    (OPERATE, "settings"): settings_table,
    (ARCHITECTURE, "layers"): layers_table,
    (ARCHITECTURE, "records"): records_table,
    (SOURCES, "example"): example,
    (DATA, "streams"): streams_table,
    (DATA, "metrics"): lambda: series_table(Metric),
    (DATA, "macro"): lambda: series_table(Observation),
    (DATA, "feeds"): texts_table,
    (INDICATORS, "indicators"): indicators_table,
    (FEATURES, "features"): features_table,
    (INDICATORS, "signals"): signals_table,
    (INDICATORS, "oracles"): oracles_table,
    (STREAMING, "streams"): streams_of_events,
    (STREAMING, "closes"): closes_table,
    (METRICS, "gateway"): lambda: measures_table(GATEWAY),
    (METRICS, "actors"): lambda: measures_table(ACTORS, "ray_"),
    (METRICS, "ray"): ray_table,
    (METRICS, "alerts"): alerts_table,
    (METRICS, "boards"): boards_table,
    (CLIENT, "errors"): errors_of_client,
    (CLIENT, "methods"): methods_of_client,
}


def write() -> None:
    """Bring every such part up to the code."""
    for (path, name), make in MADE.items():
        text = path.read_text()
        start, end = ends(name, text)
        path.write_text(text[:start] + make() + text[end:])
    ENV_EXAMPLE.write_text(env_example())


if __name__ == "__main__":
    write()
