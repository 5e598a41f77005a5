"""Precision and recall of the linker on real headlines, labelled by hand.

`labels/headlines_measured.csv` (303 headlines) is the published measure: its labels were written, by one reader,
before the linker was run on it, and no rule was changed because of what it shows. `labels/headlines_dev.csv`
(124) was read while the rules were written, as were other headlines of the same data; it says little. Whoever
changes a rule because of a measured headline moves that headline to the other file and draws a new one.

The rule for a label: an asset is labelled when the headline speaks of the coin, its chain, protocol, network,
foundation or founder by the coin's name ("Solana-based", "Uniswap founder", "Bitcoin ETF"), or of the company
itself. Not labelled: a company for the coin that it is known for (Ripple for XRP, Crypto.com for CRO, FTX for
FTT; Tether is both), a wrapped or forked coin for its model, a person, a medium, a section, a nickname, and
whatever the registry and `linking_stocks.csv` do not hold. A ticker is read as of its day; the Terra that
collapsed is `terra-luna`, whenever it is spoken of.

Drawn with a seed from all different headlines of both data sets, more than their share from those that hold a
word that is also a name (`word`), a smaller coin (`small`) or a company (`stock`); `rest` is everything else.
The files hold no texts: file, row (from 1) or item id, SHA-256 of the headline, stratum, assets.
"""

import csv
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ray_app.model.symbols import load_registry
from ray_app.process.linking import Linker
from ray_app.process.linking_forms import forms

LABELS = Path(__file__).with_name("labels")


@dataclass(frozen=True)
class Headline:
    stratum: str
    title: str
    at: datetime
    expected: frozenset[str]
    found: dict[str, float]  # with their confidence


@dataclass(frozen=True)
class Score:
    right: int
    wrong: int
    missed: int

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong)

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed)

    def __str__(self) -> str:
        counts = f"{self.right} right, {self.wrong} wrong, {self.missed} missed"
        return f"precision {self.precision:.3f}, recall {self.recall:.3f} ({counts})"


@pytest.fixture(scope="module")
def texts(shared_data: Path) -> dict[tuple[str, str], tuple[str, datetime]]:
    """(file, id) -> headline and when it was published."""
    news = shared_data / "news"
    if not news.is_dir():
        pytest.skip(f"no recorded news: {news} does not exist")
    found = {}
    name = "kaggle_cryptonews_2021_2022.csv"
    with (news / name).open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file, delimiter=";"), 1):
            at = datetime.strptime(row["date"], "%d-%m-%Y %H:%M").replace(tzinfo=UTC)
            found[name, str(number)] = row["title"], at
    name = "free_crypto_news/articles_2026-01.jsonl"
    for line in (news / name).read_text("utf-8").splitlines():
        item = json.loads(line)
        found[name, item["id"]] = item["title"], datetime.fromisoformat(item["pub_date"])
    return found


@pytest.fixture(scope="module")
def linked(texts: dict[tuple[str, str], tuple[str, datetime]]) -> Callable[[str], list[Headline]]:
    linker = Linker(load_registry())

    def read(part: str) -> list[Headline]:
        headlines = []
        for row in labels(part):
            title, at = texts[row["file"], row["id"]]
            assert hashlib.sha256(title.encode()).hexdigest() == row["sha256"], (row["file"], row["id"])
            found = {mention.asset: mention.confidence for mention in linker.mentions(title, at=at)}
            headlines.append(Headline(row["stratum"], title, at, frozenset(row["assets"].split()), found))
        return headlines

    return read


def labels(part: str) -> list[dict[str, str]]:
    with (LABELS / f"headlines_{part}.csv").open(encoding="ascii", newline="") as file:
        return list(csv.DictReader(file))


def score(headlines: Iterable[Headline], *, of: Callable[[str], bool] = lambda asset: True) -> Score:
    counts = Counter[str]()
    for one in headlines:
        expected, found = set(filter(of, one.expected)), set(filter(of, one.found))
        counts.update(right=len(expected & found), wrong=len(found - expected), missed=len(expected - found))
    return Score(counts["right"], counts["wrong"], counts["missed"])


def is_coin(asset: str) -> bool:
    return asset.islower()


def is_stock(asset: str) -> bool:
    return asset.isupper()


def report(part: str, headlines: list[Headline]) -> str:
    lines = [f"{part}: {len(headlines)} headlines, {score(headlines)}"]
    lines += [f"  coins:  {score(headlines, of=is_coin)}", f"  stocks: {score(headlines, of=is_stock)}"]
    for stratum in sorted({one.stratum for one in headlines}):
        some = [one for one in headlines if one.stratum == stratum]
        lines.append(f"  {stratum}: {len(some)} headlines, {score(some)}")
    by_confidence: dict[float, list[bool]] = {}
    for one in headlines:
        for asset, sure in one.found.items():
            by_confidence.setdefault(sure, []).append(asset in one.expected)
    for sure, right in sorted(by_confidence.items(), reverse=True):
        lines.append(f"  confidence {sure}: {sum(right)} of {len(right)} right")
    for one in headlines:
        if set(one.found) != one.expected:
            wrong, missed = sorted(set(one.found) - one.expected), sorted(one.expected - set(one.found))
            lines.append(f"  wrong {wrong}, missed {missed}: {one.title}")
    return "\n".join(lines)


@pytest.mark.parametrize("part", ["dev", "measured"])
def test_precision_and_recall(
    part: str, linked: Callable[[str], list[Headline]], capsys: pytest.CaptureFixture[str]
) -> None:
    headlines = linked(part)
    with capsys.disabled():
        sys.stdout.write(f"\n{report(part, headlines)}\n")
    assert score(headlines).precision >= 0.95
    assert score(headlines).recall >= 0.90


def test_the_labels_are_many_known_and_not_shared_between_the_parts() -> None:
    registry = load_registry()
    known = {asset.id for asset in registry.assets}
    known |= {form.means for form in forms(registry) if form.kind == "stock"}
    parts = {part: labels(part) for part in ("dev", "measured")}
    assert len(parts["measured"]) >= 300
    assert len(parts["dev"]) >= 100
    keys = [row["sha256"] for rows in parts.values() for row in rows]
    assert len(keys) == len(set(keys))
    unknown = {asset for rows in parts.values() for row in rows for asset in row["assets"].split()} - known
    assert unknown == set()


def test_a_score_counts_what_is_wrong_and_what_is_missed() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    both = Headline("rest", "a", at, frozenset({"bitcoin", "COIN"}), {"bitcoin": 0.9, "near": 0.8})
    none = Headline("rest", "b", at, frozenset(), {})
    assert score([both, none]) == Score(right=1, wrong=1, missed=1)
    assert score([both, none], of=is_stock) == Score(right=0, wrong=0, missed=1)
    assert score([both, both]).precision == 0.5
