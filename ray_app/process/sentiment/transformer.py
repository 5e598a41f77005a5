"""CryptoBERT and FinBERT: loading by `transformers`, then the same network without padding (`encoder.py`).

Numbers: float16 on a GPU; on a CPU bfloat16 where it multiplies bfloat16 itself (avx512_bf16, AMX), else float32. int8,
for three quarters of the products, only if it is asked for and keeps the labels (`golden.py`).
Texts are sorted by length and cut into batches of a number of tokens, not of texts.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from ray_app.process.sentiment.encoder import Encoder
from ray_app.process.sentiment.errors import BadModel, NoModel
from ray_app.process.sentiment.golden import changed
from ray_app.process.sentiment.model import SentimentModel
from ray_app.process.sentiment.products import multiplies_bytes
from ray_app.process.sentiment.scores import Identity, Probabilities, Reason
from ray_app.process.sentiment.sentences import MOST, sentences, together
from ray_app.process.sentiment.weights import INSTALL, Declared, Files, files

Numbers = Literal["float32", "bfloat16", "float16", "int8"]

log = logging.getLogger("crypto_data.sentiment")

TOKENS_AT_ONCE = 2_048  # on a CPU; more gains nothing there
TOKENS_AT_ONCE_ON_GPU = 32_768
_OFFERED = {"cpu": ("float32", "bfloat16", "int8"), "cuda": ("float32", "bfloat16", "float16")}


class Transformer:
    """The classifier of one loaded transformer, for `SentimentModel`. One call at a time."""

    def __init__(self, declared: Declared, found: Files, device: str, numbers: Numbers) -> None:
        import torch

        self._torch = torch
        self._declared, self._columns = declared, found.columns
        model, self._tokenizer = _read(declared, found)
        self._marks = frozenset(self._tokenizer.all_special_ids)  # that for an unknown word is one of them
        self._longest = min(declared.tokens, _places(model))
        in_bytes = numbers == "int8"
        beside = fastest(device) if in_bytes else numbers
        self._encoder = Encoder(model.to(device), getattr(torch, beside), in_bytes)
        self._at_once = TOKENS_AT_ONCE_ON_GPU if device == "cuda" else TOKENS_AT_ONCE
        self._counting = _counting(self._tokenizer, self._longest)
        self.identity = Identity(
            id=declared.id,
            weights=found.weights,
            tokenizer=found.tokenizer,
            label_map=found.label_map,
            numbers=f"int8 beside {beside}" if in_bytes else numbers,
            rule=_rule(declared, self._longest),
        )

    @property
    def at_once(self) -> int:
        return self._at_once

    def tokens(self, texts: Sequence[str]) -> Sequence[int]:
        cut = [self._pieces(text) for text in texts]
        encoded = iter(self._counting.encode_batch([piece for parts in cut for piece in parts]))
        return [sum(len(next(encoded).ids) for _ in parts) for parts in cut]

    def probabilities(self, texts: Sequence[str]) -> Sequence[Probabilities | Reason]:
        cut = [self._pieces(text) for text in texts]
        pieces = list(dict.fromkeys(piece for parts in cut for piece in parts))
        said = dict(zip(pieces, self._of_pieces(pieces), strict=True))
        answers: list[Probabilities | Reason] = []
        for parts in cut:
            known = [answer for part in parts if (answer := said[part]) is not None]
            answers.append(together(known) if known else "unknown_words")
        return answers

    def _pieces(self, text: str) -> Sequence[str]:
        return sentences(text) if self._declared.by_sentence else (text,)

    def _of_pieces(self, pieces: Sequence[str]) -> list[Probabilities | None]:
        """None where the tokenizer knows nothing of a piece."""
        encoded = self._tokenizer(list(pieces), truncation=True, max_length=self._longest, padding=False)[
            "input_ids"
        ]
        order = sorted(
            (n for n, ids in enumerate(encoded) if self._is_known(ids)), key=lambda n: (len(encoded[n]), n)
        )
        answers: list[Probabilities | None] = [None] * len(pieces)
        with self._torch.inference_mode():
            for some in _batches(order, [len(ids) for ids in encoded], self._at_once):
                logits = self._encoder.logits([encoded[n] for n in some])
                shares = self._torch.softmax(logits[:, list(self._columns)], dim=1).tolist()
                for n, (bearish, neutral, bullish) in zip(some, shares, strict=True):
                    answers[n] = (bearish, neutral, bullish)
        return answers

    def _is_known(self, ids: Sequence[int]) -> bool:
        return any(token not in self._marks for token in ids)


def load(
    declared: Declared,
    folder: Path | None = None,
    revision: str | None = None,
    device: str | None = None,
    numbers: Numbers | None = None,
) -> SentimentModel:
    """A transformer from a folder, else from the hub. `device` and `numbers`: None chooses for this machine.

    With int8 it is what None chooses where int8 changes labels, or the processor is none for it.
    Raises NoModel (a library, the weights or the device is missing) or BadModel (not what was declared).
    """
    try:
        import torch
        import transformers  # noqa: F401  # whether it is there
    except ImportError as e:
        raise NoModel(declared.id, f"{e.name} is not installed: {INSTALL}") from e
    except OSError as e:  # a library that torch needs is not on this machine
        raise NoModel(declared.id, f"torch cannot be loaded ({e}): {INSTALL} once more") from e
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device == "cuda" and not torch.cuda.is_available():
        raise NoModel(declared.id, "there is no GPU that torch can use")
    numbers = numbers or fastest(device)
    if numbers not in _OFFERED.get(device, ()):
        raise NoModel(declared.id, f"{numbers} on {device!r} is not offered")
    found = files(declared, folder, revision)
    if numbers != "int8":
        return SentimentModel(Transformer(declared, found, device, numbers))
    exact = SentimentModel(Transformer(declared, found, device, fastest(device)))
    if not multiplies_bytes():
        log.warning("int8 is not used: this processor does not multiply bytes", extra={"model": declared.id})
        return exact
    rough = SentimentModel(Transformer(declared, found, device, "int8"))
    if lost := changed(exact, rough):
        log.warning("int8 is not used: it changes labels", extra={"model": declared.id, "changed": lost})
        return exact
    return rough


def fastest(device: str) -> Numbers:
    """The type of number that this machine is fastest in, of those that keep the labels."""
    import torch

    if device == "cuda":
        return "float16"
    able = torch.cpu.get_capabilities()
    return "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16") else "float32"


def _rule(declared: Declared, longest: int) -> str:
    if declared.by_sentence:
        return f"first {MOST} sentences, {longest} tokens of each, mean weighted by 1 - P(neutral)"
    return f"first {longest} tokens"


def _batches(order: Sequence[int], lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Runs of `order` of at most `most` tokens; never less than one text."""
    batch: list[int] = []
    tokens = 0
    for n in order:
        if batch and tokens + lengths[n] > most:
            yield batch
            batch, tokens = [], 0
        batch.append(n)
        tokens += lengths[n]
    if batch:
        yield batch


def _counting(tokenizer: Any, longest: int) -> Any:
    """A copy that only counts: the model's own is set anew by each call and is no other thread's to ask meanwhile."""
    from tokenizers import Tokenizer

    copy = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    copy.no_padding()
    copy.enable_truncation(longest)
    return copy


def _places(model: Any) -> int:
    """How many tokens the model has positions for. RoBERTa's begin behind that of the padding: 514 hold 512."""
    config = model.config
    first = 0 if config.model_type == "bert" else config.pad_token_id + 1
    return int(config.max_position_embeddings) - first


def _read(declared: Declared, found: Files) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = str(found.folder)
    try:
        with _silent():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model, told = AutoModelForSequenceClassification.from_pretrained(
                folder,
                local_files_only=True,
                dtype="float32",
                output_loading_info=True,
                ignore_mismatched_sizes=True,
            )
    except Exception as e:
        raise BadModel(declared.id, f"{folder} cannot be loaded: {type(e).__name__}: {e}") from e
    # transformers makes up what a file lacks or has in another size, and says so in a warning.
    wrong = [*told["missing_keys"], *told["mismatched_keys"], *told.get("error_msgs", ())]
    if wrong:
        raise BadModel(declared.id, f"{folder} lacks weights or has others: {wrong[:3]}")
    if (
        model.config.hidden_act != "gelu"
        or getattr(model.config, "position_embedding_type", "absolute") != "absolute"
    ):
        raise BadModel(
            declared.id, f"{folder}: hidden_act {model.config.hidden_act!r} or its positions are others"
        )
    vocabulary = model.config.vocab_size
    if len(tokenizer) > vocabulary:
        raise BadModel(
            declared.id, f"{folder}: the tokenizer has {len(tokenizer)} tokens, the model {vocabulary}"
        )
    return model.eval().requires_grad_(False), tokenizer


@contextmanager
def _silent() -> Iterator[None]:
    """Progress bars and reports of transformers have no place in a node's log; what matters is checked after."""
    from transformers.utils import logging as told

    before, bars = told.get_verbosity(), told.is_progress_bar_enabled()
    told.set_verbosity(logging.CRITICAL)
    told.disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it so
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        told.set_verbosity(before)
        if bars:
            told.enable_progress_bar()  # type: ignore[no-untyped-call]
