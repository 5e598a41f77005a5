import json
import logging
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `models`")

from ray_app.process.sentiment import transformer  # noqa: E402
from ray_app.process.sentiment.errors import BadModel, NoModel  # noqa: E402
from ray_app.process.sentiment.model import SentimentModel  # noqa: E402
from ray_app.process.sentiment.products import multiplies_bytes  # noqa: E402
from ray_app.process.sentiment.scores import LABELS, Score  # noqa: E402
from ray_app.process.sentiment.sentences import together  # noqa: E402
from ray_app.process.sentiment.weights import CRYPTOBERT, FINBERT, Declared, files  # noqa: E402
from tests.process.sentiment import tiny  # noqa: E402

HEADLINES = [
    "Bitcoin surges past a new record",
    "The exchange froze withdrawals and its token lost half of its value",
    "Sales rose",
    "Quarterly profit fell to 3.1 million from 4.0 million a year earlier",
    "What do you think about this coin?",
    "Buyers return to the market as the year ends",
]
COLUMNS = {
    "cryptobert": (0, 1, 2),
    "finbert": (1, 2, 0),
}  # of bearish, neutral, bullish in the published models


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Any]]:
    """id -> the folder of a tiny model, and the model itself."""
    folder = tmp_path_factory.mktemp("models")
    made = {"cryptobert": tiny.roberta, "finbert": tiny.bert}
    return {name: (folder / name, make(folder / name)) for name, make in made.items()}


@pytest.fixture(scope="module")
def cryptobert(saved: dict[str, tuple[Path, Any]]) -> SentimentModel:
    return transformer.load(CRYPTOBERT, saved["cryptobert"][0], device="cpu", numbers="float32")


@pytest.fixture(scope="module")
def finbert(saved: dict[str, tuple[Path, Any]]) -> SentimentModel:
    return transformer.load(FINBERT, saved["finbert"][0], device="cpu", numbers="float32")


@pytest.fixture
def copy(saved: dict[str, tuple[Path, Any]], tmp_path: Path) -> Path:
    """The tiny CryptoBERT in a folder that a test may spoil."""
    return Path(shutil.copytree(saved["cryptobert"][0], tmp_path / "copy"))


def by_transformers(
    folder: Path, model: Any, text: str, columns: tuple[int, int, int], longest: int
) -> list[float]:
    """What `transformers` itself says of one text: bearish, neutral, bullish."""
    from transformers import AutoTokenizer

    asked = AutoTokenizer.from_pretrained(folder)(
        text, truncation=True, max_length=longest, return_tensors="pt"
    )
    asked.pop("token_type_ids", None)
    with torch.inference_mode():
        shares = torch.softmax(model(**asked).logits[0], dim=0).tolist()
    return [shares[column] for column in columns]


def shares(score: Score) -> list[float]:
    assert score.probabilities is not None
    return [score.probabilities[label] for label in LABELS]


@pytest.mark.parametrize("declared", [CRYPTOBERT, FINBERT], ids=lambda declared: declared.id)
def test_the_answers_are_those_of_transformers(declared: Declared, saved: dict[str, tuple[Path, Any]]):
    folder, model = saved[declared.id]
    scores = transformer.load(declared, folder, device="cpu", numbers="float32").score(HEADLINES)
    wanted = [
        by_transformers(folder, model, text, COLUMNS[declared.id], declared.tokens) for text in HEADLINES
    ]
    for score, expected in zip(scores, wanted, strict=True):
        assert shares(score) == pytest.approx(expected, abs=1e-5)
        assert score.score == pytest.approx(expected[2] - expected[0], abs=1e-5)
        assert score.label == LABELS[expected.index(max(expected))]
        assert score.confidence == pytest.approx(max(expected), abs=1e-5)
        assert score.reason is None
    assert len({score.label for score in scores}) > 1  # else an order of labels could hide


def test_a_batch_says_what_one_by_one_says(cryptobert: SentimentModel, monkeypatch: pytest.MonkeyPatch):
    texts = [*HEADLINES, " ".join(HEADLINES), *(text + " again" for text in HEADLINES)]
    alone = [cryptobert.score([text])[0] for text in texts]
    monkeypatch.setattr(cryptobert._classifier, "_at_once", 40)  # several batches
    for some in (texts, texts[::-1]):
        found = {text: shares(score) for text, score in zip(some, cryptobert.score(some), strict=True)}
        for text, score in zip(texts, alone, strict=True):
            assert found[text] == pytest.approx(shares(score), abs=1e-5)


def test_what_a_text_costs_is_what_is_read_of_it(
    cryptobert: SentimentModel, finbert: SentimentModel, saved: dict[str, tuple[Path, Any]]
):
    from transformers import AutoTokenizer

    parts = ["Profit fell to 3.1 million.", "Sales rose at the exchange."]
    texts = [" ".join(parts), parts[1], " ".join(HEADLINES * 20)]
    for model, pieces, longest in (
        (cryptobert, [[text] for text in texts], 128),
        (finbert, [parts, parts[1:]], 64),
    ):
        asked = AutoTokenizer.from_pretrained(saved[model.id][0])
        wanted = [
            sum(len(ids) for ids in asked(some, truncation=True, max_length=longest)["input_ids"])
            for some in pieces
        ]
        assert model.tokens(texts)[: len(wanted)] == wanted
        assert model.at_once == transformer.TOKENS_AT_ONCE
    assert cryptobert.tokens(texts)[2] == 128


def test_batches_are_counted_in_tokens():
    lengths = [3, 3, 4, 9, 2, 30]
    assert list(transformer._batches([0, 1, 2, 3, 4, 5], lengths, 10)) == [[0, 1, 2], [3], [4], [5]]


def test_a_text_is_read_to_the_trained_length(cryptobert: SentimentModel, saved: dict[str, tuple[Path, Any]]):
    folder, model = saved["cryptobert"]
    long = " ".join(HEADLINES * 20)
    expected = by_transformers(folder, model, long, COLUMNS["cryptobert"], 128)
    first, other = cryptobert.score([long, long + " and more"])
    assert shares(first) == pytest.approx(expected, abs=1e-5)
    assert shares(other) == pytest.approx(
        shares(first), abs=1e-6
    )  # as exactly as one row of a batch is another
    assert cryptobert.identity.rule == "first 128 tokens"


@pytest.mark.parametrize(("positions", "usable"), [(514, 512), (66, 64)])
def test_positions_of_roberta_begin_behind_the_padding(positions: int, usable: int, tmp_path: Path):
    model = tiny.roberta(tmp_path, positions=positions)
    assert transformer._places(model) == usable
    wide = Declared("wide", "none", CRYPTOBERT.means, "roberta", tokens=512)
    loaded = transformer.load(wide, tmp_path, device="cpu", numbers="float32")
    long = " ".join(HEADLINES * 40)
    expected = by_transformers(tmp_path, model, long, COLUMNS["cryptobert"], usable)
    assert shares(loaded.score([long])[0]) == pytest.approx(expected, abs=1e-5)


def test_finbert_reads_sentence_by_sentence(finbert: SentimentModel, saved: dict[str, tuple[Path, Any]]):
    folder, model = saved["finbert"]
    parts = ["Profit fell to 3.1 million.", "Sales rose at the exchange.", "What do you think?"]
    each = [tuple(by_transformers(folder, model, part, COLUMNS["finbert"], 64)) for part in parts]
    score = finbert.score([" ".join(parts)])[0]
    assert shares(score) == pytest.approx(together(each), abs=1e-5)  # type: ignore[arg-type]  # three each


def test_labels_in_another_order_are_mapped_by_name(
    saved: dict[str, tuple[Path, Any]], tmp_path: Path, finbert: SentimentModel
):
    """The same weights, whose first answer is now called neutral: other scores, and another digest."""
    folder = Path(shutil.copytree(saved["finbert"][0], tmp_path / "copy"))
    spoil_config(folder, id2label={"0": "neutral", "1": "Positive", "2": "NEGATIVE"})
    other = transformer.load(FINBERT, folder, device="cpu", numbers="float32")
    for before, after in zip(finbert.score(HEADLINES), other.score(HEADLINES), strict=True):
        bearish, neutral, bullish = shares(before)  # answers 1, 2, 0
        assert shares(after) == pytest.approx([neutral, bullish, bearish], abs=1e-6)
    assert other.digest != finbert.digest
    assert other.identity.label_map != finbert.identity.label_map


def test_bfloat16_stays_near(saved: dict[str, tuple[Path, Any]], cryptobert: SentimentModel):
    near = transformer.load(CRYPTOBERT, saved["cryptobert"][0], device="cpu", numbers="bfloat16")
    for exact, rough in zip(cryptobert.score(HEADLINES), near.score(HEADLINES), strict=True):
        assert shares(rough) == pytest.approx(shares(exact), abs=3e-2)
        assert math.isclose(sum(shares(rough)), 1.0, abs_tol=1e-5)
        assert shares(rough) != shares(exact)
    assert near.identity.numbers == "bfloat16"
    assert near.digest != cryptobert.digest


def leaning(folder: Path, bias: float) -> Path:
    """The tiny CryptoBERT, saved once more with that much more for bullish."""
    model = tiny.roberta(folder)
    model.classifier.out_proj.bias.data[2] += bias
    model.save_pretrained(folder)
    return folder


def test_int8_stays_near(saved: dict[str, tuple[Path, Any]], cryptobert: SentimentModel):
    if not multiplies_bytes():
        pytest.skip("this processor does not multiply bytes")
    found = files(CRYPTOBERT, saved["cryptobert"][0])
    near = SentimentModel(transformer.Transformer(CRYPTOBERT, found, "cpu", "int8"))
    for text, exact, rough in zip(HEADLINES, cryptobert.score(HEADLINES), near.score(HEADLINES), strict=True):
        assert shares(rough) == pytest.approx(shares(exact), abs=3e-2)
        assert shares(rough) != shares(exact)
        # Alone as among others: what stands beside a text does not sway it.
        assert shares(near.score([text])[0]) == pytest.approx(shares(rough), abs=1e-6)


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """What the loading of models warns of."""
    told: list[str] = []

    class Telling(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    handler = Telling()
    transformer.log.addHandler(handler)
    yield told
    transformer.log.removeHandler(handler)


def test_int8_is_taken_where_it_keeps_the_labels(tmp_path: Path, warnings: list[str]):
    if not multiplies_bytes():
        pytest.skip("this processor does not multiply bytes")
    folder = leaning(tmp_path, 20.0)
    near = transformer.load(CRYPTOBERT, folder, device="cpu", numbers="int8")
    exact = transformer.load(CRYPTOBERT, folder, device="cpu", numbers="float32")
    assert near.identity.numbers == f"int8 beside {transformer.fastest('cpu')}"
    assert near.digest not in {exact.digest, transformer.load(CRYPTOBERT, folder, device="cpu").digest}
    assert {score.label for score in near.score(HEADLINES)} == {"bullish"}
    assert warnings == []


@pytest.mark.parametrize("why", ["it changes labels", "this processor does not multiply bytes"])
def test_where_int8_is_no_good_the_exact_type_is_taken_and_it_is_told(
    why: str,
    saved: dict[str, tuple[Path, Any]],
    monkeypatch: pytest.MonkeyPatch,
    warnings: list[str],
):
    """Of the tiny model, whose labels are a near thing, int8 changes some."""
    if why.startswith("this"):
        monkeypatch.setattr(transformer, "multiplies_bytes", lambda: False)
    elif not multiplies_bytes():
        pytest.skip("this processor does not multiply bytes")
    given = transformer.load(CRYPTOBERT, saved["cryptobert"][0], device="cpu", numbers="int8")
    assert given.identity.numbers == transformer.fastest("cpu")
    assert warnings == [f"int8 is not used: {why}"]


def test_every_part_is_in_the_digest(copy: Path, cryptobert: SentimentModel):
    def digest() -> str:
        return transformer.load(CRYPTOBERT, copy, device="cpu", numbers="float32").digest

    seen = [digest()]
    assert seen == [cryptobert.digest]  # where it lies does not matter
    tokenizer = json.loads((copy / "tokenizer_config.json").read_text())
    (copy / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"note": 1}))
    seen.append(digest())
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(
        json.dumps(config | {"id2label": {0: "Bullish", 1: "Neutral", 2: "Bearish"}})
    )
    seen.append(digest())
    tiny.roberta(copy, positions=300)
    seen.append(digest())
    shorter = Declared("cryptobert", "", CRYPTOBERT.means, "roberta", tokens=64)
    seen.append(transformer.load(shorter, copy, device="cpu", numbers="float32").digest)
    assert len(set(seen)) == len(seen)


def cut(path: Path, share: float) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def spoil_config(folder: Path, **change: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def drop_weight(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights.pop("classifier.out_proj.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def larger_tokenizer(folder: Path) -> None:
    path = folder / "tokenizer.json"
    told = json.loads(path.read_text())
    told["model"]["vocab"] |= {f"more{n}": 1_000 + n for n in range(99)}
    path.write_text(json.dumps(told))


BAD = {
    "weights cut short": (lambda f: cut(f / "model.safetensors", 0.6), BadModel, "cannot be loaded"),
    "weights cut to nothing": (lambda f: cut(f / "model.safetensors", 0), BadModel, "cannot be loaded"),
    "a weight is missing": (drop_weight, BadModel, "lacks weights"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), NoModel, "download was not finished"),
    "weights of another width": (lambda f: spoil_config(f, intermediate_size=256), BadModel, "intermediate"),
    "no config": (lambda f: (f / "config.json").unlink(), NoModel, "no config.json"),
    "config cut short": (lambda f: cut(f / "config.json", 0.5), BadModel, "cannot be read"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), NoModel, "no tokenizer"),
    "tokenizer cut short": (lambda f: cut(f / "tokenizer.json", 0.5), BadModel, "cannot be loaded"),
    "a tokenizer of another model": (larger_tokenizer, BadModel, "the tokenizer has"),
    "a vocabulary of another size": (lambda f: spoil_config(f, vocab_size=100), BadModel, "word_embeddings"),
    "another architecture": (lambda f: spoil_config(f, model_type="bert"), BadModel, "'bert', expected 'roberta'"),
    "no label map": (lambda f: spoil_config(f, id2label=None), BadModel, "label map None"),
    "labels without names": (
        lambda f: spoil_config(f, id2label={"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}), BadModel, "label_0"
    ),
    "labels of another model": (
        lambda f: spoil_config(f, id2label={"0": "positive", "1": "negative", "2": "neutral"}), BadModel, "positive"
    ),
    "two labels alike": (
        lambda f: spoil_config(f, id2label={"0": "Bullish", "1": "Neutral", "2": "Bullish"}), BadModel, "bullish"
    ),
    "two labels": (lambda f: spoil_config(f, id2label={"0": "Bearish", "1": "Bullish"}), BadModel, "three labels"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_model_that_is_not_what_it_should_be_is_refused(name: str, copy: Path):
    spoil, error, words = BAD[name]
    spoil(copy)
    with pytest.raises(error, match=words):
        transformer.load(CRYPTOBERT, copy, device="cpu", numbers="float32")


def test_a_missing_folder_is_named(tmp_path: Path):
    with pytest.raises(NoModel, match="nowhere does not exist: put the files of ElKulako/cryptobert there"):
        transformer.load(CRYPTOBERT, tmp_path / "nowhere")


def test_without_a_hub_the_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # as HF_HUB_OFFLINE=1 sets it at import
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(NoModel, match="or copy its files into a folder"):
        transformer.load(FINBERT, revision="main")


@pytest.mark.parametrize(("device", "numbers"), [("cpu", "float16"), ("tpu", "float32")])
def test_what_is_not_offered_is_refused(device: str, numbers: Any, saved: dict[str, tuple[Path, Any]]):
    with pytest.raises(NoModel, match="not offered"):
        transformer.load(CRYPTOBERT, saved["cryptobert"][0], device=device, numbers=numbers)


def test_emoji_and_unknown_words(finbert: SentimentModel):
    found = finbert.score(["🚀🚀🚀", "ŋŋ ŧŧ", "Sales rose 🚀"])
    assert [score.reason for score in found] == ["no_words", "unknown_words", None]
