"""POST /api/v1/models/{cryptobert,finbert}: what a model says of the client's own texts. They are not kept."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import FastAPI, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.responses import Response

from ray_app.process.sentiment.readable import LONGEST
from ray_app.process.sentiment.scores import LABELS, Score
from ray_app.serve.bodies import read_body
from ray_app.serve.door import key_of
from ray_app.serve.models import MODELS, NoAnswer
from ray_app.serve.node import Node
from ray_app.serve.problems import Problem, unavailable
from ray_app.serve.queries import Nothing, read_query
from ray_app.serve.routes import post
from ray_app.serve.wire import dumps
from ray_app.store.scored import exact

MOST_TEXTS = 64
MOST_BYTES = 1 << 20
TEXTS = {"texts": ["Bitcoin surges to a new record", "🚀🚀🚀"]}
SCORES: dict[str, Any] = {
    "data": [
        {
            "label": "bullish",
            "score": 0.91,
            "confidence": 0.93,
            "probabilities": {"bearish": 0.02, "neutral": 0.05, "bullish": 0.93},
            "model": {"id": "cryptobert", "digest": "5f0c…"},
            "reason": None,
        },
        {
            "label": None,
            "score": None,
            "confidence": None,
            "probabilities": None,
            "model": {"id": "cryptobert", "digest": "5f0c…"},
            "reason": "no_words",
        },
    ],
    "meta": {
        "as_of": "2026-11-23T01:05:00.000Z",
        "condition": "available",
        "source": "cryptobert",
        "simulated": False,
        "generated_at": "2026-11-23T01:05:00.000Z",
        "age_seconds": None,
    },
}


def _whole(text: str) -> str:
    """Texts that cannot be written down are a mistake of the sender, not a text that no model reads."""
    if "\0" in text:
        raise ValueError("holds a NUL character")
    return text


Text = Annotated[str, Field(max_length=LONGEST), AfterValidator(_whole)]


class Texts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    texts: list[Text] = Field(
        min_length=1,
        max_length=MOST_TEXTS,
        description=f"1 to {MOST_TEXTS} texts in English, each up to {LONGEST:,} characters",
    )


def add(app: FastAPI, node: Node) -> None:
    async def score(model: str, request: Request) -> Response:
        read_query(Nothing, request)
        asked = await read_body(Texts, request, MOST_BYTES)
        if node.parts.models is None:
            raise unavailable(
                "no model scores texts on this node: CRYPTO_DATA_SENTIMENT is off, or it runs without Serve",
                [model],
            )
        try:
            scores = await node.parts.models.score(model, asked.texts)
        except NoAnswer as error:
            raise _down(error, model, request) from None
        return Response(
            dumps({"data": [told(one) for one in scores], "meta": _meta(node, scores)}),
            headers={"Cache-Control": "no-store"},
            media_type="application/json",
        )

    for name, texts in zip(MODELS, ("posts and comments about coins", "financial news"), strict=True):
        post(
            app, f"/api/v1/models/{name}", partial(score, name), scope="read:sentiment", takes=Texts,
            sent=TEXTS, example=SCORES,
            summary=f"What {name} says of your texts (made for {texts}); `model` tells which one it was",
        )  # fmt: skip


def _down(error: NoAnswer, model: str, request: Request) -> Problem:
    """The reason may name folders: it is for keys that may see how the node is doing; others are told who knows."""
    if error.reason is None:
        return unavailable(error.told, [model])
    problem = unavailable(f"{error.told}; the reason is in /api/v1/health, for its operator to mend", [model])
    if "read:ops" in key_of(request.scope).scopes:
        problem.details["reason"] = error.reason
    return problem


def _meta(node: Node, scores: Sequence[Score]) -> dict[str, Any]:
    now = node.clock.now()
    return {
        "as_of": now,
        "condition": "available",
        "source": scores[0].model.id,
        "simulated": node.parts.simulated,
        "generated_at": now,
        "age_seconds": None,
    }


def told(one: Score) -> dict[str, Any]:
    """As JSON types; all null with a reason where the model says nothing."""
    known = one.probabilities
    return {
        "label": one.label,
        "score": None if one.score is None else exact(one.score),
        "confidence": None if one.confidence is None else exact(one.confidence),
        "probabilities": None if known is None else {label: exact(known[label]) for label in LABELS},
        "model": {"id": one.model.id, "digest": one.model.digest},
        "reason": one.reason,
    }
