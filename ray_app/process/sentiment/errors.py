"""Why a model cannot be used. A text never raises: it gets a score of null with its reason."""

from ray_app.model.errors import NodeError


class ModelError(NodeError):
    """`model`: its id, folder or file."""

    def __init__(self, model: str, detail: str) -> None:
        Exception.__init__(self, model, detail)
        self.model, self.detail = model, detail

    def __str__(self) -> str:
        return f"{self.model}: {self.detail}"


class NoModel(ModelError):
    """It is not here and cannot be fetched, or a library is missing: the detail says what to do."""


class BadModel(ModelError):
    """It is here and is not what was declared: cut short, other labels, another architecture."""
