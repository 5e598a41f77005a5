"""Texts a second of a BERT-base-shaped model on this CPU: `transformers.pipeline` beside ours, in one run.

The model has random weights; its last layer is scaled so that every label has its share and the margins are
those of a trained one. Token counts have the distribution of real headlines and comments: from the recorded
news and posts where they lie beside the repository, else from their measured quantiles.
"""

import csv
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import Figure, at_least, at_most

TEXTS = 384
OF_PIPELINE = 96  # as many as take reasonable time, drawn evenly
DATA = Path(__file__).parents[2] / "shared" / "data"
# Words in texts at 0 %, 10 %, ... 100 %: the fallback, measured on the same data.
QUANTILES = (1, 7, 9, 10, 11, 12, 14, 17, 24, 42, 400)


def measure() -> dict[str, Any]:
    import torch

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        texts = _texts()
        model, tokenizer = _made(path, texts)
        return {"threads": torch.get_num_threads(), "texts": len(texts)} | _compared(
            path, model, tokenizer, texts
        )


def figures(measured: dict[str, Any]) -> list[Figure]:
    one = measured
    return [
        Figure("tokens of a text, mean", one["mean_tokens"]),
        Figure("transformers.pipeline(batch_size=32), float32", one["pipeline_per_second"], "texts/s"),
        Figure("ours, float32", one["float32_per_second"], "texts/s"),
        Figure(f"ours, {one['numbers']}", one["ours_per_second"], "texts/s"),
        at_least("ours over pipeline", one["ours_per_second"] / one["pipeline_per_second"], 8, "times"),
        Figure(
            "the same if all products ran at their peak and nothing lay between them",
            one["peak"] / one["flop_per_text"] / one["pipeline_per_second"],
            "times",
        ),
        Figure(f"matrix products at their peak, {one['numbers']}", one["peak"] / 1e9, "GFLOP/s"),
        at_least("of that peak reached", one["reached"], 0.5),
        at_most("probabilities, furthest from float32", one["furthest"], 1e-2),
        at_least("labels as in float32", one["same_labels"], 0.995),
        at_least("smallest share of a label", one["least_share"], 0.15),
        at_least("margin between the two likeliest, median", one["median_margin"], 0.2),
        *(_of_bytes(one) if one["bytes_per_second"] else ()),
    ]


def _of_bytes(one: dict[str, Any]) -> Iterator[Figure]:
    yield Figure(f"ours, int8 beside {one['numbers']}", one["bytes_per_second"], "texts/s")
    yield at_least("int8 over pipeline", one["bytes_per_second"] / one["pipeline_per_second"], 14, "times")
    yield Figure("products of bytes at their peak", one["bytes_peak"] / 1e9, "GOP/s")
    in_bytes = one["flop_per_text"] * one["share_in_bytes"]
    seconds = in_bytes / one["bytes_peak"] + (one["flop_per_text"] - in_bytes) / one["peak"]
    yield Figure(
        "the same if all products ran at their peak and nothing lay between them",
        1 / seconds / one["pipeline_per_second"],
        "times",
    )
    yield Figure("probabilities in int8, furthest from float32", one["bytes_furthest"])
    yield Figure("labels in int8 as in float32", one["bytes_same_labels"])


def _compared(path: Path, model: Any, tokenizer: Any, texts: list[str]) -> dict[str, Any]:
    import torch
    from transformers import pipeline

    from ray_app.process.sentiment import transformer
    from ray_app.process.sentiment.model import SentimentModel
    from ray_app.process.sentiment.products import multiplies_bytes
    from ray_app.process.sentiment.scores import LABELS
    from ray_app.process.sentiment.weights import CRYPTOBERT, files

    numbers = transformer.fastest("cpu")
    exact = transformer.load(CRYPTOBERT, path, device="cpu", numbers="float32")
    ours = transformer.load(CRYPTOBERT, path, device="cpu", numbers=numbers)
    whole = pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu", top_k=None)
    some = texts[:: len(texts) // OF_PIPELINE]
    lengths = [len(ids) for ids in tokenizer(texts, truncation=True, max_length=128)["input_ids"]]
    with torch.inference_mode():
        slow, _ = _fastest(
            lambda: whole(some, batch_size=32, truncation=True, max_length=128, padding=True), len(some), 1
        )
    peak = max(_peak(getattr(torch, numbers)) for _ in range(2))
    fast, rough = _fastest(lambda: ours.score(texts), len(texts), 3)
    in_bytes: dict[str, float] = {"bytes_per_second": 0.0}
    coarse: Any = []
    if multiplies_bytes():  # not by `load`: random weights have labels that it would not keep
        bytewise = SentimentModel(transformer.Transformer(CRYPTOBERT, files(CRYPTOBERT, path), "cpu", "int8"))
        in_bytes["bytes_per_second"], coarse = _fastest(lambda: bytewise.score(texts), len(texts), 3)
        in_bytes["bytes_peak"] = max(_bytes_peak() for _ in range(2))
    float32, precise = _fastest(lambda: exact.score(texts), len(texts), 1)
    peak = max(peak, *(_peak(getattr(torch, numbers)) for _ in range(2)))
    true, said, coarsely = (
        np.array(
            [[score.probabilities[label] for label in LABELS] for score in scores if score.probabilities]
        )
        for scores in (precise, rough, coarse)
    )
    if coarse:
        in_bytes["bytes_furthest"] = float(np.abs(true - coarsely).max())
        in_bytes["bytes_same_labels"] = float(np.mean(true.argmax(1) == coarsely.argmax(1)))
    ordered = np.sort(true, axis=1)
    return in_bytes | {
        "numbers": numbers,
        "mean_tokens": float(np.mean(lengths)),
        "pipeline_per_second": slow,
        "float32_per_second": float32,
        "ours_per_second": fast,
        "peak": peak,
        "flop_per_text": _flop(model, lengths) / len(texts),
        "share_in_bytes": _flop(model, lengths, "dense") / _flop(model, lengths),
        "reached": fast * _flop(model, lengths) / len(texts) / peak,
        "furthest": float(np.abs(true - said).max()),
        "same_labels": float(np.mean(true.argmax(1) == said.argmax(1))),
        "least_share": float(np.bincount(true.argmax(1), minlength=3).min() / len(texts)),
        "median_margin": float(np.median(ordered[:, 2] - ordered[:, 1])),
    }


def _fastest(call: Callable[[], Any], texts: int, times: int) -> tuple[float, Any]:
    """Texts a second in the best of some calls, and what the last one said."""
    best, said = float("inf"), None
    for _ in range(times):
        began = time.perf_counter()
        said = call()
        best = min(best, time.perf_counter() - began)
    return texts / best, said


def _peak(dtype: Any) -> float:
    """FLOP/s of large matrix products in this type: torch's own, or with packed weights where those are faster."""
    import torch

    from ray_app.process.sentiment.products import Product

    rows, layer = torch.randn(2048, 2048).to(dtype), torch.nn.Linear(2048, 2048).requires_grad_(False)
    weight, packed = layer.weight.to(dtype), Product((layer,), dtype)
    return _best_rate(lambda: torch.matmul(rows, weight), lambda: packed(rows))


def _bytes_peak() -> float:
    """Multiplications and additions a second of large products of bytes, their scales included."""
    import torch

    from ray_app.process.sentiment.products import ByteProduct

    rows, product = torch.randn(2048, 2048), ByteProduct(torch.nn.Linear(2048, 2048).requires_grad_(False))
    return _best_rate(lambda: product(rows))


def _best_rate(*products: Callable[[], Any]) -> float:
    """Multiplications and additions a second, of products of 2,048 by 2,048 by 2,048."""
    rates = []
    for _ in range(8):
        for product in products:
            began = time.perf_counter()
            product()
            rates.append(2 * 2048**3 / (time.perf_counter() - began))
    return max(rates)


def _flop(model: Any, lengths: Sequence[int], part: str = "") -> float:
    """Multiplications and additions that the texts need: of their own tokens, of the last layer what is read of it.

    `part`: only of products with this in their name.
    """
    config = model.config
    last = f"layer.{config.num_hidden_layers - 1}."
    products = sum(
        layer.weight.numel()
        for name, layer in model.named_modules()
        if hasattr(layer, "in_features")
        and "encoder" in name
        and part in name
        and (last not in name or name.endswith(("key", "value")))
    )
    if part:
        return float(2 * products * sum(lengths))
    attention = 4 * config.hidden_size * config.num_hidden_layers * sum(n * n for n in lengths)
    return float(2 * products * sum(lengths) + attention)


def _made(path: Path, texts: list[str]) -> tuple[Any, Any]:
    """RoBERTa-base with CryptoBERT's numbers and random weights, and a tokenizer trained on the texts."""
    import torch
    from tokenizers import ByteLevelBPETokenizer
    from tokenizers.processors import RobertaProcessing
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaForSequenceClassification

    trained = ByteLevelBPETokenizer()
    marks = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(texts, vocab_size=20_000, special_tokens=marks, show_progress=False)
    trained.post_processor = RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        pad_token="<pad>", cls_token="<s>", sep_token="</s>", mask_token="<mask>",
    )  # fmt: skip
    config = RobertaConfig(
        vocab_size=50_265, max_position_embeddings=514, type_vocab_size=1, pad_token_id=1, bos_token_id=0,
        eos_token_id=2, layer_norm_eps=1e-5, id2label={0: "Bearish", 1: "Neutral", 2: "Bullish"},
    )  # fmt: skip
    model = RobertaForSequenceClassification(config).eval()
    ids = tokenizer(texts, truncation=True, max_length=128)["input_ids"]
    # The last layer: centred and scaled on these texts, so that no label is rare and no margin is nothing.
    with torch.inference_mode():
        logits = torch.cat([model(torch.tensor([one])).logits for one in ids[::6]])
        scale = 0.8 / logits.std(dim=0, keepdim=True)
        model.classifier.out_proj.bias.copy_((model.classifier.out_proj.bias - logits.mean(0)) * scale[0])
        model.classifier.out_proj.weight.mul_(scale.T)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return model, tokenizer


def _texts() -> list[str]:
    """Half headlines, half posts, in an order that mixes them."""
    rng = np.random.default_rng(1)
    real = list(dict.fromkeys(_real()))
    if real:
        return [real[n] for n in rng.permutation(len(real))[:TEXTS]]
    words = [f"word{n}" for n in range(3_000)]
    counts = np.interp(rng.random(TEXTS), np.linspace(0, 1, len(QUANTILES)), QUANTILES).astype(int)
    return [" ".join(["the", *rng.choice(words, count)]) for count in counts]


def _real() -> Iterator[str]:
    news = DATA / "news" / "kaggle_cryptonews_2021_2022.csv"
    posts = DATA / "sentiment" / "surge"
    if news.is_file() and posts.is_dir():
        with news.open(encoding="utf-8", newline="") as file:
            titles = [row["title"] for row in csv.DictReader(file, delimiter=";")]
        yield from titles[:: max(1, len(titles) // 500)]
        for name, column in (("crypto_sentiment.csv", "Comment Text"), ("stock_sentiment.csv", "Tweet Text")):
            with (posts / name).open(encoding="utf-8", newline="") as file:
                yield from (row[column] for row in csv.DictReader(file))
