"""Weights from a hub at first use: fetched over HTTP by the node's settings, kept, and the same as from a folder."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `models`")

from ray_app.configured import models  # noqa: E402
from ray_app.model.texts import Article, Post  # noqa: E402
from ray_app.process.sentiment import transformer  # noqa: E402
from ray_app.process.sentiment.errors import NoModel  # noqa: E402
from ray_app.process.sentiment.weights import CRYPTOBERT, FINBERT  # noqa: E402
from ray_app.settings import Settings  # noqa: E402
from tests.process.sentiment import tiny  # noqa: E402
from tests.process.sentiment.hub import COMMIT, Hub  # noqa: E402


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """As their authors publish them: CryptoBERT as pytorch_model.bin, and beside them what nobody here needs."""
    folder = tmp_path_factory.mktemp("published")
    torch.save(tiny.roberta(folder / "cryptobert").state_dict(), folder / "cryptobert" / "pytorch_model.bin")
    (folder / "cryptobert" / "model.safetensors").unlink()
    tiny.bert(folder / "finbert")
    for name in ("tf_model.h5", "flax_model.msgpack", "README.md", "modeling.py"):
        (folder / "finbert" / name).write_bytes(b"not wanted")
    return {one.repository: folder / one.id for one in (CRYPTOBERT, FINBERT)}


@pytest.fixture
def hub(published: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """As HF_ENDPOINT and HF_HOME name it: the library reads them when it is imported."""
    from huggingface_hub import constants

    made = Hub(published)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "ENDPOINT", made.url)
    template = made.url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    return made


def digest(kind: Any, **settings: str) -> str:
    return models(Settings.model_validate({"sentiment": "hub"} | settings))[kind]().digest


def test_it_is_fetched_once_and_then_there_without_the_hub(
    hub: Hub, published: dict[str, Path], capfd: pytest.CaptureFixture[str]
):
    finbert, cryptobert = (
        transformer.load(one, published[one.repository]).digest for one in (FINBERT, CRYPTOBERT)
    )
    pinned = {"cryptobert_revision": COMMIT, "finbert_revision": COMMIT}
    with hub.running():
        assert (digest(Article), digest(Post)) == (finbert, cryptobert)
        assert hub.sent == {
            "config.json", "model.safetensors", "pytorch_model.bin", "tokenizer.json", "tokenizer_config.json",
        }  # fmt: skip
        hub.asked.clear()
        assert (digest(Article, **pinned), digest(Post, **pinned)) == (finbert, cryptobert)
        assert hub.asked == []  # what a hash names does not change
        with pytest.raises(NoModel, match="ProsusAI/finbert is not in the hub's cache"):
            digest(Article, finbert_revision="of-another")
    assert (digest(Article), digest(Post)) == (finbert, cryptobert)
    assert "%|" not in capfd.readouterr().err  # no progress bars in a log


def test_what_broke_off_is_told_and_fetched_by_the_next_try(hub: Hub, published: dict[str, Path]):
    with hub.running():
        hub.cut = "pytorch_model.bin"
        with pytest.raises(NoModel, match=r"cannot be fetched .* Try again, or copy its files"):
            digest(Post)
        hub.cut = ""
        assert digest(Post) == transformer.load(CRYPTOBERT, published[CRYPTOBERT.repository]).digest
