"""What makes each alert fire, and what is near it and does not, as series of promtool: start, step, count."""

from dataclasses import dataclass

Series = dict[str, str]  # series -> values, one a minute: "0+1x10" begins at 0 and grows ten times by 1
NODE = 'crypto_data_simulated{release="1",instance="a:1"}'
PRICES = 'dataset="coingecko.prices"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`after`: when it is looked at; `labels`: of the alert besides its name and severity."""

    fires: Series
    quiet: Series
    after: str = "30m"
    labels: str = ""


def flat(series: str, value: float, times: int = 300) -> Series:
    return {series: f"{value}+0x{times}"}


def fresh(age: float, allowed: float, required: str = "true") -> Series:
    name = f'{PRICES},required="{required}"'
    return flat(f"crypto_data_freshness_seconds{{{name}}}", age) | flat(
        f"crypto_data_freshness_allowed_seconds{{{PRICES}}}", allowed
    )


def collector(state: str, value: int = 1) -> Series:
    return flat(f'crypto_data_collector{{{PRICES},crypto_data_collector="{state}"}}', value)


def intervals(lost: int, collected: int) -> Series:
    return {
        **flat(f'crypto_data_intervals{{{PRICES},state="lost"}}', lost),
        **flat(f'crypto_data_intervals{{{PRICES},state="collected"}}', collected),
        **flat(f'crypto_data_intervals{{{PRICES},state="not_due"}}', 100_000),
    }


def rows(read: int, aside: int) -> Series:
    return flat(f"crypto_data_read_rows{{{PRICES}}}", read) | flat(
        f"crypto_data_set_aside_rows{{{PRICES}}}", aside
    )


def series(expected: int, fresh: int) -> Series:
    return {
        **flat(f'crypto_data_series{{{PRICES},state="expected"}}', expected),
        **flat(f'crypto_data_series{{{PRICES},state="fresh"}}', fresh),
    }


def answers(good: int, bad: int) -> Series:
    """So many a minute, from two replicas."""
    return {
        f'ray_crypto_data_requests_total{{route="/r",status="200",WorkerId="{one}"}}': f"0+{good}x300"
        for one in "ab"
    } | {'ray_crypto_data_requests_total{route="/r",status="503",WorkerId="a"}': f"0+{bad}x300"}


def answered(route: str, slow: int) -> Series:
    """A hundred answers a minute, of which so many take longer than a second."""
    name = "ray_crypto_data_request_duration_seconds_bucket"
    return {
        f'{name}{{route="{route}",le="1.0"}}': f"0+{100 - slow}x300",
        f'{name}{{route="{route}",le="2.5"}}': "0+100x300",
        f'{name}{{route="{route}",le="+Inf"}}': "0+100x300",
    }


def application(status: int) -> Series:
    return flat('ray_serve_application_status{application="gateway"}', status)


def quota(name: str, value: float) -> Series:
    return flat(f'crypto_data_quota_month_{name}_calls{{scope="coingecko-demo"}}', value)


def part(name: str, value: int, required: str = "false") -> Series:
    return flat(f'crypto_data_part_up{{part="{name}",required="{required}"}}', value)


def disk(free: str, size: float = 100.0) -> Series:
    return {"crypto_data_raw_free_bytes": free} | flat("crypto_data_raw_size_bytes", size, 600)


def ray_disk(free: float) -> Series:
    where = '{instance="one:1",ip="one"}'
    return flat(f"ray_node_disk_free{where}", free) | flat(f"ray_node_disk_usage{where}", 100 - free)


DATASET, SCOPE = 'dataset="coingecko.prices"', 'scope="coingecko-demo"'
DAY = 1440
CASES: dict[str, Case] = {
    "GatewayNotScraped": Case(
        fires={NODE: "0 0 0 stale"}, quiet={NODE: "0 0 0 stale", NODE.replace("a:1", "b:1"): "0+0x60"}, after="6m",
    ),
    "RayNotScraped": Case(fires={}, quiet=flat('ray_node_mem_total{instance="a:2"}', 1)),
    "NoRequiredDataset": Case(fires=fresh(1, 450, "false"), quiet=fresh(1, 450), labels='required="true"'),
    "DatasetNeverCollected": Case(
        fires=flat(f"crypto_data_completeness_ratio{{{PRICES}}}", 0),
        quiet=flat(f"crypto_data_completeness_ratio{{{PRICES}}}", 0) | fresh(9, 450),
        after="31m", labels=DATASET,
    ),
    "DatasetStale": Case(fires=fresh(451, 450), quiet=fresh(449, 450), after="3m", labels=DATASET),
    "OptionalDatasetStale": Case(
        fires=fresh(451, 450, "false"), quiet=fresh(449, 450, "false"), after="31m", labels=DATASET
    ),
    "SeriesLate": Case(fires=series(100, 89), quiet=series(100, 90), after="31m", labels=DATASET),
    "DatasetIncomplete": Case(
        fires=flat(f"crypto_data_completeness_ratio{{{PRICES}}}", 0.94),
        quiet=flat(f"crypto_data_completeness_ratio{{{PRICES}}}", 0.95), after="121m", labels=DATASET,
    ),
    "IntervalsLost": Case(fires=intervals(2, 98), quiet=intervals(1, 99), after="16m", labels=DATASET),
    "RowsSetAside": Case(fires=rows(900, 11), quiet=rows(20, 10), after="11m", labels=DATASET),
    "CollectorDead": Case(
        fires=collector("dead"), quiet=collector("dead", 0) | collector("refused"), after="6m", labels=DATASET
    ),
    "CollectorRefused": Case(
        fires=collector("refused"), quiet=collector("refused", 0) | collector("dead"), after="16m", labels=DATASET
    ),
    "LeaseFlapping": Case(
        fires={'crypto_data_lease_takings_total{shard="collect-0"}': "1+1x60"},
        quiet={'crypto_data_lease_takings_total{shard="collect-0"}': "1 1 2 3 3 3 4 4+0x60"},
        after="40m", labels='shard="collect-0"',
    ),
    "OutboxStuck": Case(
        fires=flat("crypto_data_outbox_waiting_rows", 3),
        quiet={"crypto_data_outbox_waiting_rows": "9 9 9 9 9 0 " * 8},
    ),
    "QuotaForecastExceeded": Case(
        fires=quota("forecast", 10_001) | quota("allowance", 10_000),
        quiet=quota("forecast", 9_999) | quota("allowance", 10_000), after="121m", labels=SCOPE,
    ),
    "QuotaSpent": Case(fires=quota("left", 0), quiet=quota("left", 1), after="11m", labels=SCOPE),
    "PartDown": Case(
        fires=part("redis", 0), quiet=part("redis", 1) | part("scoring.posts", 0), after="6m", labels='part="redis"'
    ),
    "ModelFailed": Case(
        fires=part("scoring.posts", 0), quiet=part("scoring.posts", 1) | part("redis", 0), after="16m",
        labels='part="scoring.posts"',
    ),
    "TextsUnscored": Case(
        fires=flat('crypto_data_texts{texts="posts",state="waiting"}', 1001),
        quiet=flat('crypto_data_texts{texts="posts",state="waiting"}', 1000)
        | flat('crypto_data_texts{texts="posts",state="scored"}', 90_000),
        after="61m", labels='texts="posts"',
    ),
    "ModelDrift": Case(
        fires=flat('crypto_data_score_drift_ratio{texts="posts"}', 0.26),
        quiet=flat('crypto_data_score_drift_ratio{texts="posts"}', 0.25), after="61m", labels='texts="posts"',
    ),
    "FeatureSkew": Case(
        fires=flat('crypto_data_feature_skew_rows{state="differing"}', 1),
        quiet=flat('crypto_data_feature_skew_rows{state="differing"}', 0)
        | flat('crypto_data_feature_skew_rows{state="equal"}', 900),
    ),
    "ApiErrors": Case(fires=answers(49, 2), quiet=answers(100, 1), after="12m"),
    "ApiSlow": Case(
        fires=answered("/api/v1/prices/current/{symbol}", 6),
        quiet=answered("/api/v1/prices/current/{symbol}", 4) | answered("/metrics", 99), after="16m",
    ),
    "ServeApplicationFailed": Case(
        fires=application(2), quiet=application(5), after="2m", labels='application="gateway"'
    ),
    "ServeApplicationNotRunning": Case(
        fires=application(5), quiet=application(6), after="16m", labels='application="gateway"'
    ),
    "RayDiskFull": Case(fires=ray_disk(9), quiet=ray_disk(11), after="11m", labels='instance="one:1"'),
    "DiskNearlyFull": Case(fires=disk("9+0x300"), quiet=disk("11+0x300"), after="11m"),
    "DiskFullSoon": Case(fires=disk("49-0.02x600"), quiet=disk("49-0.001x600"), after="7h"),
    "BackupOld": Case(
        fires=flat("crypto_data_backup_age_seconds", 172_801), quiet=flat("crypto_data_backup_age_seconds", 172_799),
        after="61m",
    ),
    "BackupUnknown": Case(
        fires=flat(NODE, 0, DAY + 60), quiet=flat(NODE, 1, DAY + 60), after="1450m",
    ),
}  # fmt: skip
