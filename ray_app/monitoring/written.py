"""The files that are made from the alerts and dashboards: for Prometheus, for its operator, for Grafana."""

import json
from collections.abc import Mapping
from itertools import groupby
from typing import Any

import yaml

from ray_app.monitoring.alerts import ALERTS, Alert
from ray_app.monitoring.boards import BOARDS
from ray_app.monitoring.panels import board_json

RUNBOOKS = "docs/runbooks"  # where the pages are; an address of yours leads the reader of an alert there
NAMESPACE = "crypto-data-collection"
HEADER = "# Made by `python -m ray_app.monitoring` from ray_app/monitoring/alerts.py.\n"


def groups(runbooks: str = RUNBOOKS) -> list[dict[str, Any]]:
    """The groups of rules, as both files hold them."""
    return [
        {"name": f"crypto-data-{name}", "rules": [_rule(alert, runbooks) for alert in found]}
        for name, found in groupby(ALERTS, key=lambda alert: alert.group)
    ]


def _rule(alert: Alert, runbooks: str) -> dict[str, Any]:
    return {
        "alert": alert.name,
        "expr": alert.expr,
        "for": alert.lasts,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{runbooks.rstrip('/')}/{alert.runbook}",
        },
    }


def files(runbooks: str = RUNBOOKS) -> Mapping[str, str]:
    """Path below kuberay/monitoring -> text."""
    rules = {"groups": groups(runbooks)}
    custom = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {
            "name": "crypto-data",
            "namespace": NAMESPACE,
            "labels": {"app.kubernetes.io/part-of": "crypto-data"},
        },
        "spec": rules,
    }
    out = {"rules.yaml": HEADER + _yaml(rules), "prometheusrule.yaml": HEADER + _yaml(custom)}
    for board in BOARDS:
        out[f"dashboards/{board.name}.json"] = json.dumps(board_json(board, BOARDS), indent=1) + "\n"
    return out


def _yaml(content: Any) -> str:
    return yaml.safe_dump(content, sort_keys=False, width=110, allow_unicode=True)
