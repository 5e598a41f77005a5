"""Which metrics an expression names."""

import re

from ray_app.monitoring.ray_metrics import RAY
from ray_app.observe.measures import ACTORS, GATEWAY, Measure

WORDS = {  # of PromQL, as far as we use it
    "absent", "and", "bottomk", "by", "count", "group_left", "histogram_quantile", "increase", "max", "min",
    "min_over_time", "on", "or", "predict_linear", "rate", "sum", "topk", "unless", "vector",
}  # fmt: skip
SUFFIXES = ("_bucket", "_sum", "_count")


def metrics_in(expr: str) -> set[str]:
    """The names that are left once texts, labels, ranges, numbers and PromQL's own words are taken away."""
    bare = re.sub(r"\{[^{}]*\}", "", re.sub(r'"[^"]*"', '""', expr))
    bare = re.sub(r"\b(by|on|group_left)\s*\([^()]*\)", "", re.sub(r"\[[^\]]*\]|\boffset \w+", "", bare))
    return set(re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", bare)) - WORDS


def declared() -> dict[str, Measure]:
    """Every metric that is documented, by the name that it is scraped by."""
    ours = {one.name: one for one in GATEWAY} | {f"ray_{one.name}": one for one in ACTORS}
    return ours | {one.name: one for one in RAY}


def exported(names: dict[str, Measure]) -> set[str]:
    """The names of the samples: a histogram has three."""
    out: set[str] = set()
    for name, one in names.items():
        out |= {name + suffix for suffix in SUFFIXES} if one.kind == "histogram" else {name}
    return out
