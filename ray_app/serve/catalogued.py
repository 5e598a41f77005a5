"""What the catalogue says of everything that is computed: indicators, the signals made of them, and features."""

from typing import Any

QUALITY = "data_quality_score"


def catalogued() -> list[dict[str, Any]]:
    """Every indicator, then every signal, then every feature; the columns are one set for all three."""
    return [*_indicators(), *_features()]


def _indicators() -> list[dict[str, Any]]:
    """Signals are worked out from the columns that are their inputs."""
    from ray_app.process.indicators.catalogue import OUTPUTS
    from ray_app.process.indicators.signals import SIGNALS

    rows = [
        {
            "name": one.name,
            "group": "technical",
            "kind": "indicator",
            "family": one.family,
            "formula": one.formula,
            "inputs": one.inputs,
            "unit": one.unit,
            "values": None,
            "lookback": one.lookback,
            "memory": one.memory,
            "days": one.days,
            "limit_seconds": None,
            "version": one.version,
        }
        for one in OUTPUTS
    ]
    of_inputs = {
        "family": None,
        "unit": None,
        "lookback": None,
        "memory": None,
        "days": None,
        "limit_seconds": None,
    }
    return rows + [
        {
            "name": one.name,
            "group": "technical",
            "kind": "signal",
            "formula": one.formula,
            "inputs": one.inputs,
            "values": one.values,
            "version": one.version,
            **of_inputs,
        }
        for one in SIGNALS
    ]


def _features() -> list[dict[str, Any]]:
    """`lookback` and `memory` are in hours, `limit_seconds` is how old the newest period may be."""
    from ray_app.process.features.catalogue import FEATURES, QUALITY_FORMULA, feature_set_hash

    rows = [
        {
            "name": one.name,
            "group": one.group,
            "kind": "feature",
            "family": None,
            "formula": one.formula,
            "inputs": one.inputs,
            "unit": one.unit,
            "values": None,
            "lookback": one.hours,
            "memory": one.hours,
            "days": None,
            "limit_seconds": None if one.limit is None else one.limit.total_seconds(),
            "version": one.version,
        }
        for one in FEATURES
    ]
    quality = {
        "name": QUALITY, "group": "quality", "kind": "quality", "family": None, "formula": QUALITY_FORMULA,
        "inputs": ("features",), "unit": "0 to 1", "values": None, "lookback": 0, "memory": 0, "days": None,
        "limit_seconds": None, "version": feature_set_hash(),
    }  # fmt: skip
    return [*rows, quality]
