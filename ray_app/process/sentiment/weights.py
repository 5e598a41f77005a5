"""Where the weights of a transformer come from, and whether they are what was declared.

A folder as `save_pretrained` writes it, baked into an image or put there by hand, is taken as it is; else the
repository of a hub is fetched into the hub's own cache at first use. Nothing is trusted silently: labels by name,
every weight present, and the digest of every file goes into each score.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_app.process.sentiment.encoder import KINDS
from ray_app.process.sentiment.errors import BadModel, NoModel
from ray_app.process.sentiment.scores import LABELS, Label

INSTALL = "pip install 'crypto-data[models]'"
# Of a hub's repository only these are fetched: no TensorFlow, no ONNX, no code.
WANTED = (
    "config.json",
    "*.safetensors",
    "pytorch_model.bin",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens*",
)

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "vocab.txt", "special_tokens_map.json",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Declared:
    """What a model is said to be. `means`: its label, in lower case -> ours."""

    id: str
    repository: str
    means: Mapping[str, Label]
    kind: str  # "bert" or "roberta"
    tokens: int  # of one piece of text, with the marks around it
    by_sentence: bool = False


CRYPTOBERT = Declared(
    id="cryptobert",
    repository="ElKulako/cryptobert",
    means={"bearish": "bearish", "neutral": "neutral", "bullish": "bullish"},
    kind="roberta",
    tokens=128,
)
FINBERT = Declared(
    id="finbert",
    repository="ProsusAI/finbert",
    means={"negative": "bearish", "neutral": "neutral", "positive": "bullish"},
    kind="bert",
    tokens=64,
    by_sentence=True,
)


@dataclass(frozen=True, slots=True)
class Files:
    """A model's folder, checked. `columns`: the places of LABELS in the model's answer."""

    folder: Path
    columns: tuple[int, int, int]
    weights: str  # SHA-256
    tokenizer: str  # SHA-256
    label_map: str  # SHA-256


def files(declared: Declared, folder: Path | None = None, revision: str | None = None) -> Files:
    """The files of a model. `folder`: take it from there and ask no hub. `revision`: of the hub's repository.

    Raises NoModel (not there, hub not reached, library missing) or BadModel (something else than declared).
    """
    if folder is None:
        folder = _fetched(declared, revision)
    elif not folder.is_dir():
        raise NoModel(
            declared.id, f"the folder {folder} does not exist: put the files of {declared.repository} there"
        )
    config = _config(declared, folder)
    kind = config.get("model_type")
    if kind != declared.kind or kind not in KINDS:
        raise BadModel(declared.id, f"{folder} holds a model of type {kind!r}, expected {declared.kind!r}")
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise NoModel(
            declared.id, f"{folder} has none of {', '.join(_WEIGHTS)}: its download was not finished"
        )
    tokenizer = [folder / name for name in _TOKENIZER if (folder / name).is_file()]
    if not any(path.name in ("tokenizer.json", "vocab.json", "vocab.txt") for path in tokenizer):
        raise NoModel(declared.id, f"{folder} has no tokenizer")
    names = _names(declared, folder, config)
    return Files(
        folder=folder,
        columns=_columns(declared, folder, names),
        weights=_digest(weights, folder / "config.json"),
        tokenizer=_digest(*tokenizer),
        label_map=hashlib.sha256(json.dumps(names).encode()).hexdigest(),
    )


def _config(declared: Declared, folder: Path) -> Mapping[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except FileNotFoundError as e:
        raise NoModel(declared.id, f"{folder} has no config.json") from e
    except (OSError, ValueError) as e:
        raise BadModel(declared.id, f"{folder}/config.json cannot be read: {e}") from e
    if not isinstance(config, dict):
        raise BadModel(declared.id, f"{folder}/config.json is no object")
    return config


def _names(declared: Declared, folder: Path, config: Mapping[str, Any]) -> list[str]:
    """The model's own labels in the order of its answer."""
    told = config.get("id2label")
    try:
        names = {int(place): str(name).strip().lower() for place, name in dict(told or {}).items()}
    except (TypeError, ValueError) as e:
        raise BadModel(declared.id, f"{folder}: the label map {told!r} cannot be read") from e
    if sorted(names) != [0, 1, 2]:
        raise BadModel(declared.id, f"{folder}: the label map {told!r} is not for three labels")
    return [names[place] for place in range(3)]


def _columns(declared: Declared, folder: Path, names: list[str]) -> tuple[int, int, int]:
    """Mapped by name, whatever the order: a model that was tuned again often has another one."""
    if sorted(names) != sorted(declared.means):
        raise BadModel(
            declared.id, f"{folder}: labels {names}, expected {sorted(declared.means)} in any order"
        )
    places = {declared.means[name]: place for place, name in enumerate(names)}
    bearish, neutral, bullish = (places[label] for label in LABELS)
    return bearish, neutral, bullish


def _digest(*paths: Path) -> str:
    """SHA-256 over the names and digests of files."""
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            whole.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return whole.hexdigest()


def _fetched(declared: Declared, revision: str | None) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as e:
        raise NoModel(declared.id, f"{e.name} is not installed: {INSTALL}") from e
    try:
        disable_progress_bars()  # they have no place in a node's log
        folder = snapshot_download(declared.repository, revision=revision, allow_patterns=list(WANTED))
    except Exception as e:  # of files, of the hub, of the HTTP library beneath: they have no base in common
        raise NoModel(
            declared.id,
            f"{declared.repository} is not in the hub's cache and cannot be fetched ({type(e).__name__}). "
            "Try again, or copy its files into a folder and name that folder, or bake them into the image",
        ) from e
    return Path(folder)
