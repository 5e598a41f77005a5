"""The network of BERT and RoBERTa without a single padded place: the weights of a loaded model, another order of work.

A batch is one long row of tokens, [tokens, hidden]: every matrix product runs over it as a whole. Only attention
looks at one text at a time, so texts of one length share a call. A padded batch of headlines is a third to a half
padding; and here what a text gets does not depend on how long its neighbours are.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    Linear = Callable[[Tensor], Tensor]

KINDS = ("bert", "roberta")


class Encoder:
    """`logits` of a `BertForSequenceClassification` or `RobertaForSequenceClassification`, in one type of number.

    `linear` makes the callable of one of the model's linear layers: (layer, gelu after it?) -> [tokens, in] ->
    [tokens, out].
    """

    def __init__(self, model: Any, linear: "Callable[[Any, bool], Linear]") -> None:
        import torch

        config = model.config
        body = model.bert if config.model_type == "bert" else model.roberta
        self._first = 0 if config.model_type == "bert" else config.pad_token_id + 1  # the first position
        self._heads = config.num_attention_heads
        self._embeddings = body.embeddings
        self._dtype = body.embeddings.word_embeddings.weight.dtype
        self._device = body.embeddings.word_embeddings.weight.device
        self._layers = [_Layer(layer, linear) for layer in body.encoder.layer]
        if config.model_type == "bert":
            pooled = body.pooler.dense
            self._head: tuple[Any, Any] = (pooled, model.classifier)
        else:
            self._head = (model.classifier.dense, model.classifier.out_proj)
        self._torch = torch

    def logits(self, texts: Sequence[Sequence[int]]) -> "Tensor":
        """[texts, labels] in float32, for token ids with their marks; shortest first is fastest."""
        torch = self._torch
        lengths = [len(ids) for ids in texts]
        tokens = torch.tensor([token for ids in texts for token in ids], device=self._device)
        places = torch.cat([torch.arange(self._first, self._first + n, device=self._device) for n in lengths])
        starts = torch.tensor([0, *lengths[:-1]], device=self._device).cumsum(0)
        e = self._embeddings
        hidden = e.word_embeddings(tokens) + e.token_type_embeddings.weight[0] + e.position_embeddings(places)
        hidden = e.LayerNorm(hidden)
        same = [(length, len(list(texts))) for length, texts in groupby(lengths)]
        for layer in self._layers:
            hidden = layer(hidden, same, self._heads)
        dense, out = self._head
        first = hidden[starts]
        answer: Tensor = out(torch.tanh(dense(first))).float()
        return answer


class _Layer:
    def __init__(self, layer: Any, linear: "Callable[[Any, bool], Linear]") -> None:
        import torch

        attention = layer.attention.self
        parts = (attention.query, attention.key, attention.value)
        joined = torch.nn.Linear(1, 1, device="meta")
        joined.weight = torch.nn.Parameter(torch.cat([p.weight for p in parts]), requires_grad=False)
        joined.bias = torch.nn.Parameter(torch.cat([p.bias for p in parts]), requires_grad=False)
        self._three = linear(joined, False)
        self._out = linear(layer.attention.output.dense, False)
        self._norm = layer.attention.output.LayerNorm
        self._wide = linear(layer.intermediate.dense, True)
        self._narrow = linear(layer.output.dense, False)
        self._last = layer.output.LayerNorm

    def __call__(self, hidden: "Tensor", same: list[tuple[int, int]], heads: int) -> "Tensor":
        import torch

        seen = torch.empty_like(hidden)
        three, at = self._three(hidden), 0
        for length, count in same:
            rows = length * count
            # [texts, length, 3, heads, width] -> 3 of [texts, heads, length, width]
            q, k, v = three[at : at + rows].view(count, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
            some = torch.nn.functional.scaled_dot_product_attention(q, k, v)
            seen[at : at + rows] = some.transpose(1, 2).reshape(rows, -1)
            at += rows
        hidden = self._norm(self._out(seen).add_(hidden))
        answer: Tensor = self._last(self._narrow(self._wide(hidden)).add_(hidden))
        return answer
