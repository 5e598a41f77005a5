from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from ray_app.observe.metrics import DatasetFigures, Figures, QuotaFigures, render


def samples(figures: Figures) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a scraper reads, by the name and the labels."""
    found: Any = text_string_to_metric_families(render(figures).decode())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in found for s in family.samples}


PRICES = DatasetFigures(
    name="coingecko.prices",
    required=True,
    age_seconds=12.5,
    allowed_seconds=450.0,
    series=3,
    fresh=2,
    intervals={"collected": 280, "empty_upstream": 2, "late": 0, "failed": 1, "lost": 5, "not_due": 12},
    read=396,
    set_aside=4,
    rows=900,
    collector="waiting",
    errors={"Transient": 7},
)


def test_every_figure_can_be_read_back():
    quotas = [
        QuotaFigures(
            scope="coingecko-demo", limit=30, spent_month=400, allowance_month=10_000, forecast_month=900
        ),
        QuotaFigures(
            scope="coingecko-keyless", limit=5, spent_month=7, allowance_month=None, forecast_month=None
        ),
    ]
    found = samples(
        Figures(
            simulated=True,
            release="r1",
            datasets=[PRICES],
            quotas=quotas,
        )
    )
    name = ("dataset", "coingecko.prices")
    assert found["crypto_data_simulated", (("release", "r1"),)] == 1
    assert found["crypto_data_freshness_seconds", (name, ("required", "true"))] == 12.5
    assert found["crypto_data_series", (name, ("state", "fresh"))] == 2
    assert found["crypto_data_completeness_ratio", (name,)] == 282 / 288
    assert found["crypto_data_intervals", (name, ("state", "lost"))] == 5
    assert found["crypto_data_set_aside_rows", (name,)] == 4
    assert found["crypto_data_stored_rows", (name,)] == 900
    assert found["crypto_data_collector", (("crypto_data_collector", "waiting"), name)] == 1
    assert found["crypto_data_collector", (("crypto_data_collector", "dead"), name)] == 0
    assert found["crypto_data_collector_errors_total", (name, ("reaction", "Transient"))] == 7
    assert found["crypto_data_quota_month_left_calls", (("scope", "coingecko-demo"),)] == 9600
    assert found["crypto_data_quota_month_forecast_calls", (("scope", "coingecko-demo"),)] == 900
    assert ("crypto_data_quota_month_left_calls", (("scope", "coingecko-keyless"),)) not in found


def test_what_is_not_known_is_not_told():
    young = DatasetFigures(
        name="x.y", required=False, age_seconds=None, allowed_seconds=60.0, series=1, fresh=0,
        intervals={"not_due": 5}, read=0, set_aside=0, rows=0, collector="not_started", errors={},
    )  # fmt: skip
    names = {name for name, _ in samples(Figures(simulated=False, release="r", datasets=[young]))}
    assert not names & {"crypto_data_freshness_seconds", "crypto_data_completeness_ratio"}
