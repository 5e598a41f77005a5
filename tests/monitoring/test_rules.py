"""Rules: the files are those of the code, each fires and stays quiet as it should, each metric and runbook exists."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ray_app.monitoring.alerts import ALERTS
from ray_app.monitoring.boards import BOARDS
from ray_app.monitoring.written import files, groups
from tests.architecture.modules import REPO
from tests.monitoring.alert_cases import CASES, Series
from tests.monitoring.names import declared, exported, metrics_in
from tests.server_process import program

FOLDER = REPO / "kuberay" / "monitoring"
EXPRESSIONS = {f"alert {one.name}": one.expr for one in ALERTS} | {
    f"{board.name}: {panel.title} {number}": query.expr
    for board in BOARDS
    for panel in board.panels
    for number, query in enumerate(panel.queries)
}


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        [program("promtool"), *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]


@pytest.mark.parametrize("name", files())
def test_a_file_is_what_the_code_makes(name: str):
    assert (FOLDER / name).read_text() == files()[name], "write it anew: python -m ray_app.monitoring"


def test_both_files_of_rules_hold_the_same():
    plain = yaml.safe_load((FOLDER / "rules.yaml").read_text())
    custom = yaml.safe_load((FOLDER / "prometheusrule.yaml").read_text())
    assert custom["spec"] == plain == {"groups": groups()}
    assert (custom["apiVersion"], custom["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")


def test_the_component_holds_every_dashboard():
    text = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
    (generated,) = text["configMapGenerator"]
    assert sorted(generated["files"]) == sorted(name for name in files() if name.startswith("dashboards/"))
    assert all((FOLDER / name).is_file() for name in text["resources"])


def _test(name: str, series: Series, after: str, expected: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'ALERTS{{alertname="{name}",alertstate="firing"}}',
                "eval_time": after,
                "exp_samples": expected,
            }
        ],
    }


def test_each_alert_fires_and_stays_quiet(tmp_path: Path):
    assert set(CASES) == {alert.name for alert in ALERTS}
    tests: dict[str, list[dict[str, Any]]] = {}
    for alert in ALERTS:
        case = CASES[alert.name]
        labels = [f'alertname="{alert.name}"', 'alertstate="firing"', f'severity="{alert.severity}"']
        fires = [{"labels": f"ALERTS{{{','.join([*labels, *case.labels.split()])}}}", "value": 1}]
        mine = tests.setdefault(f"crypto-data-{alert.group}", [])
        mine.append(_test(alert.name, case.fires, case.after, fires))
        mine.append(_test(alert.name, case.quiet, case.after, []))
    paths = []
    for group in groups():  # a group for itself: promtool works out every rule of a file at every step
        name = group["name"]
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"groups": [group]}))
        content = {"rule_files": [f"{name}.yaml"], "evaluation_interval": "1m", "tests": tests[name]}
        paths.append(tmp_path / f"{name}-tests.yaml")
        paths[-1].write_text(yaml.safe_dump(content))
    promtool("test", "rules", *map(str, paths))


def test_the_rules_and_the_example_are_good():
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(FOLDER / "rules.yaml"))
    amtool = [program("amtool"), "check-config", str(FOLDER / "alertmanager.yaml")]
    done = subprocess.run(amtool, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("where", EXPRESSIONS)
def test_an_expression_names_only_metrics_that_exist(where: str):
    assert metrics_in(EXPRESSIONS[where]) - exported(declared()) == set()
    assert metrics_in(EXPRESSIONS[where])


def test_the_check_of_names_sees():
    expr = 'sum by (x) (rate(crypto_data_gone_total{a="b"}[5m])) / on (dataset) group_left () max(node_load1) > 2'
    assert metrics_in(expr) == {"crypto_data_gone_total", "node_load1"}


def test_each_alert_has_its_page_and_each_page_its_alert():
    pages = {path.name for path in (REPO / "docs" / "runbooks").glob("*.md")} - {"README.md"}
    assert pages == {alert.runbook for alert in ALERTS}
    for alert in ALERTS:
        text = (REPO / "docs" / "runbooks" / alert.runbook).read_text()
        assert text.startswith(f"# {alert.name}\n"), alert.runbook
        assert [line for line in text.splitlines() if line.startswith("## ")] == [
            "## What it means", "## What to look at", "## What to do",
        ], alert.runbook  # fmt: skip


def test_dashboards_have_names_of_their_own_and_fit():
    boards = [json.loads(text) for name, text in files().items() if name.startswith("dashboards/")]
    assert len({board["uid"] for board in boards}) == len(boards) == 7
    assert all(len(board["uid"]) <= 40 for board in boards)
    for board in boards:
        places = [panel["gridPos"] for panel in board["panels"]]
        taken = {(x, p["y"]) for p in places for x in range(p["x"], p["x"] + p["w"])}
        assert len(taken) == sum(p["w"] for p in places), board["title"]
        assert all(p["x"] + p["w"] <= 24 for p in places)
