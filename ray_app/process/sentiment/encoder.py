"""The network of BERT and RoBERTa without a single padded place: the weights of a loaded model, another order of work.

A batch is one long row of tokens, [tokens, hidden]: every matrix product runs over it as a whole. Only attention
looks at one text at a time, so texts of one length share a call. A padded batch of headlines is a third to a half
padding; and here what a text gets does not depend on how long its neighbours are.

Only matrix products run in the small type (`products.py`); what is passed on from layer to layer, and its norms, stay
float32. The first token of each text, from which the answer is read, is worked out in float32 in every layer: one row
in thirty. In the last layer nothing else is. In bfloat16 throughout, a random BERT-base lost one label in twenty.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ray_app.process.sentiment.products import Product

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("bert", "roberta")


class Encoder:
    """`logits` of a `BertForSequenceClassification` or `RobertaForSequenceClassification` that is loaded in float32.

    `dtype`: of the matrix products. The model's own layers are not changed.
    """

    def __init__(self, model: Any, dtype: Any) -> None:
        import torch

        self._torch = torch
        config = model.config
        body = model.bert if config.model_type == "bert" else model.roberta
        self._first = 0 if config.model_type == "bert" else config.pad_token_id + 1  # the first position
        heads = config.num_attention_heads
        self._embeddings = body.embeddings
        self._device = body.embeddings.word_embeddings.weight.device
        *most, last = body.encoder.layer
        self._layers = [_Layer(layer, heads, dtype) for layer in most]
        self._last = _LastLayer(last, heads, dtype)
        if config.model_type == "bert":
            self._head: tuple[Any, Any] = (body.pooler.dense, model.classifier)
        else:
            self._head = (model.classifier.dense, model.classifier.out_proj)

    def logits(self, texts: Sequence[Sequence[int]]) -> "Tensor":
        """[texts, labels] in float32, for token ids with their marks; sorted by length is fastest."""
        torch = self._torch
        lengths = [len(ids) for ids in texts]
        tokens = torch.tensor([token for ids in texts for token in ids], device=self._device)
        places = torch.cat([torch.arange(self._first, self._first + n, device=self._device) for n in lengths])
        starts = torch.tensor([0, *lengths[:-1]], device=self._device).cumsum(0)
        e = self._embeddings
        hidden = e.word_embeddings(tokens) + e.token_type_embeddings.weight[0] + e.position_embeddings(places)
        hidden = e.LayerNorm(hidden)
        same = [(length, len(list(some))) for length, some in groupby(lengths)]
        for layer in self._layers:
            hidden = layer(hidden, starts, same)
        dense, out = self._head
        answer: Tensor = out(torch.tanh(dense(self._last(hidden, starts, same))))
        return answer


class _First:
    """A layer for the first tokens only, exactly."""

    def __init__(self, layer: Any, heads: int) -> None:
        self._layer, self._heads = layer, heads

    def __call__(self, first: "Tensor", two: "Tensor", same: list[tuple[int, int]]) -> "Tensor":
        """`two`: keys and values of every token, [tokens, 2 * hidden]."""
        import torch
        from torch.nn.functional import gelu, scaled_dot_product_attention

        layer, at, text = self._layer, 0, 0
        asked = layer.attention.self.query(first).view(len(first), self._heads, 1, -1)
        seen = torch.empty_like(first)
        for length, count in same:
            rows = length * count
            k, v = two[at : at + rows].float().view(count, length, 2, self._heads, -1).permute(2, 0, 3, 1, 4)
            some = scaled_dot_product_attention(asked[text : text + count], k, v)
            seen[text : text + count] = some.reshape(count, -1)
            at, text = at + rows, text + count
        first = layer.attention.output.LayerNorm(layer.attention.output.dense(seen) + first)
        answer: Tensor = layer.output.LayerNorm(
            layer.output.dense(gelu(layer.intermediate.dense(first))) + first
        )
        return answer


class _Layer:
    def __init__(self, layer: Any, heads: int, dtype: Any) -> None:
        attention = layer.attention.self
        self._heads = heads
        self._three = Product((attention.query, attention.key, attention.value), dtype)
        self._out = Product((layer.attention.output.dense,), dtype)
        self._norm = layer.attention.output.LayerNorm
        self._wide = Product((layer.intermediate.dense,), dtype)
        self._narrow = Product((layer.output.dense,), dtype)
        self._final = layer.output.LayerNorm
        self._first = _First(layer, heads) if dtype.itemsize < 4 else None  # float32 is exact for all

    def __call__(self, hidden: "Tensor", starts: "Tensor", same: list[tuple[int, int]]) -> "Tensor":
        import torch
        from torch.nn.functional import scaled_dot_product_attention

        three, at = self._three(hidden), 0
        seen = torch.empty(hidden.shape, dtype=three.dtype, device=hidden.device)
        for length, count in same:
            rows = length * count
            # [texts, length, 3, heads, width] -> 3 of [texts, heads, length, width]
            q, k, v = three[at : at + rows].view(count, length, 3, self._heads, -1).permute(2, 0, 3, 1, 4)
            seen[at : at + rows] = scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(rows, -1)
            at += rows
        # A sum of two types is slow in torch; converted first it takes an eighth of the time.
        between = self._norm(self._out(seen).float().add_(hidden))
        answer: Tensor = self._final(self._narrow(self._wide.gelu(between)).float().add_(between))
        if self._first is not None:
            answer[starts] = self._first(hidden[starts], three[:, hidden.shape[1] :], same)
        return answer


class _LastLayer:
    """Keys and values of every token, everything else of the first tokens only: nothing more is read."""

    def __init__(self, layer: Any, heads: int, dtype: Any) -> None:
        attention = layer.attention.self
        self._two = Product((attention.key, attention.value), dtype)
        self._first = _First(layer, heads)

    def __call__(self, hidden: "Tensor", starts: "Tensor", same: list[tuple[int, int]]) -> "Tensor":
        return self._first(hidden[starts], self._two(hidden), same)
