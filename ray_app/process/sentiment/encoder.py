"""The network of BERT and RoBERTa without a single padded place: the weights of a loaded model, another order of work.

A batch is one long row of tokens, [tokens, hidden]: every matrix product runs over it as a whole. Only attention
looks at one text at a time, so texts of one length share a call. A padded batch of headlines is a third to a half
padding; and here what a text gets does not depend on how long its neighbours are.

Only matrix products run in the small type (`products.py`); what is passed on from layer to layer, and its norms, stay
float32. The answer is read from the first token of each text, so those are worked out in float32 in every layer: one
row in thirty. They stand before all others, [texts, hidden] and then [other tokens, hidden], so that neither is worked
out twice. In the last layer nothing but them is. In bfloat16 throughout, a random BERT-base lost one label in twenty.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ray_app.process.sentiment.products import GELU_LEAST, ByteProduct, Product

if TYPE_CHECKING:
    from torch import Tensor

KINDS = ("bert", "roberta")
Linear = Product | ByteProduct
Same = Sequence[tuple[int, int]]  # how long texts are, and how many follow each other that are so long


class Encoder:
    """`logits` of a `BertForSequenceClassification` or `RobertaForSequenceClassification` that is loaded in float32.

    `dtype`: of the matrix products; with `in_bytes` of those up to attention, what comes after it is done in 8 bits.
    In 8 bits queries and keys would cost labels, with MiniLM's weights one in twenty. The model is not changed.
    """

    def __init__(self, model: Any, dtype: Any, in_bytes: bool = False) -> None:
        import torch

        self._torch = torch
        config = model.config
        body = model.bert if config.model_type == "bert" else model.roberta
        self._start = 0 if config.model_type == "bert" else config.pad_token_id + 1  # the first position
        heads = config.num_attention_heads
        self._embeddings = body.embeddings
        self._device = body.embeddings.word_embeddings.weight.device
        *most, last = body.encoder.layer
        self._layers = [_Layer(layer, heads, dtype, in_bytes) for layer in most]
        self._last = _LastLayer(last, heads, dtype)
        if config.model_type == "bert":
            self._head: tuple[Any, Any] = (body.pooler.dense, model.classifier)
        else:
            self._head = (model.classifier.dense, model.classifier.out_proj)

    def logits(self, texts: Sequence[Sequence[int]]) -> "Tensor":
        """[texts, labels] in float32, for token ids with their marks; sorted by length is fastest."""
        torch = self._torch
        lengths = [len(ids) for ids in texts]
        tokens = [ids[0] for ids in texts] + [token for ids in texts for token in ids[1:]]
        places = [0] * len(texts) + [place for length in lengths for place in range(1, length)]
        e = self._embeddings
        hidden = (
            e.word_embeddings(torch.tensor(tokens, device=self._device))
            + e.token_type_embeddings.weight[0]
            + e.position_embeddings(torch.tensor(places, device=self._device) + self._start)
        )
        hidden = e.LayerNorm(hidden)
        same = [(length, len(list(some))) for length, some in groupby(lengths)]
        for layer in self._layers:
            hidden = layer(hidden, same)
        dense, out = self._head
        answer: Tensor = out(torch.tanh(dense(self._last(hidden, same))))
        return answer


class _Layer:
    def __init__(self, layer: Any, heads: int, dtype: Any, in_bytes: bool) -> None:
        import torch

        attention = layer.attention.self
        self._attention = _Attention(heads)
        self._three = Product((attention.query, attention.key, attention.value), dtype)
        self._query = Product((attention.query,), torch.float32)
        self._exact = _rest(layer, torch.float32)
        self._fast = self._exact
        if in_bytes:
            self._fast = _rest_in_bytes(layer)
        elif dtype != torch.float32:
            self._fast = _rest(layer, dtype)

    def __call__(self, hidden: "Tensor", same: Same) -> "Tensor":
        import torch

        texts = sum(count for _, count in same)
        firsts, others = hidden[:texts], hidden[texts:]
        asked, two = torch.tensor_split(self._three(hidden), (hidden.shape[1],), dim=1)
        exactly = self._query(firsts)
        seen_first, seen = torch.empty_like(firsts), torch.empty_like(others, dtype=two.dtype)
        for some, rows, k, v in self._attention.keys_and_values(two, same):
            seen_first[some] = self._attention(exactly[some], k.float(), v.float())
            seen[rows] = self._attention(asked[texts:][rows], k, v)
        return torch.cat([self._exact(seen_first, firsts), self._fast(seen, others)])


class _LastLayer:
    """Keys and values of every token, everything else of the first tokens only: nothing more is read."""

    def __init__(self, layer: Any, heads: int, dtype: Any) -> None:
        import torch

        attention = layer.attention.self
        self._attention = _Attention(heads)
        self._two = Product((attention.key, attention.value), dtype)
        self._query = Product((attention.query,), torch.float32)
        self._exact = _rest(layer, torch.float32)

    def __call__(self, hidden: "Tensor", same: Same) -> "Tensor":
        import torch

        firsts = hidden[: sum(count for _, count in same)]
        asked, seen = self._query(firsts), torch.empty_like(firsts)
        for some, _, k, v in self._attention.keys_and_values(self._two(hidden), same):
            seen[some] = self._attention(asked[some], k.float(), v.float())
        return self._exact(seen, firsts)


class _Rest:
    """What a layer does after attention, one token at a time, with these products."""

    def __init__(self, layer: Any, out: Linear, wide: Linear, narrow: Linear) -> None:
        self._out, self._wide, self._narrow = out, wide, narrow
        self._norm, self._final = layer.attention.output.LayerNorm, layer.output.LayerNorm

    def __call__(self, seen: "Tensor", hidden: "Tensor") -> "Tensor":
        # A sum of two types is slow in torch; converted first it takes an eighth of the time.
        between = self._norm(self._out(seen).float().add_(hidden))
        answer: Tensor = self._final(self._narrow(self._wide.gelu(between)).float().add_(between))
        return answer


class _InParts(_Rest):
    """The same, some rows at a time: what lies between the products is float32 and should stay near the processor."""

    _AT_ONCE = 512

    def __call__(self, seen: "Tensor", hidden: "Tensor") -> "Tensor":
        import torch

        some = zip(seen.split(self._AT_ONCE), hidden.split(self._AT_ONCE), strict=True)  # type: ignore[no-untyped-call]  # torch leaves it so
        return torch.cat([super(_InParts, self).__call__(rows.float(), before) for rows, before in some])


def _rest(layer: Any, dtype: Any) -> _Rest:
    return _Rest(layer, *(Product((dense,), dtype) for dense in _dense(layer)))


def _rest_in_bytes(layer: Any) -> _Rest:
    out, wide, narrow = _dense(layer)
    return _InParts(layer, ByteProduct(out), ByteProduct(wide), ByteProduct(narrow, least=GELU_LEAST))


def _dense(layer: Any) -> tuple[Any, Any, Any]:
    return layer.attention.output.dense, layer.intermediate.dense, layer.output.dense


class _Attention:
    def __init__(self, heads: int) -> None:
        self._heads = heads

    def keys_and_values(self, two: "Tensor", same: Same) -> Iterator[tuple[slice, slice, "Tensor", "Tensor"]]:
        """For texts of one length: which of the texts, which of the other tokens, keys and values.

        `two`: keys and values of all tokens, [tokens, 2 * hidden]. They come as [texts, heads, length, width].
        """
        texts = sum(count for _, count in same)
        text, at = 0, 0
        for length, count in same:
            some, rows = slice(text, text + count), slice(at, at + count * (length - 1))
            both = two.new_empty((2, count, self._heads, length, two.shape[1] // (2 * self._heads)))
            both[:, :, :, 0] = two[:texts][some].view(count, 2, self._heads, -1).transpose(0, 1)
            others = two[texts:][rows].view(count, length - 1, 2, self._heads, -1)
            both[:, :, :, 1:] = others.permute(2, 0, 3, 1, 4)
            yield some, rows, both[0], both[1]
            text, at = some.stop, rows.stop

    def __call__(self, asked: "Tensor", k: "Tensor", v: "Tensor") -> "Tensor":
        """[tokens, hidden] for queries [tokens, hidden] of the texts whose keys and values these are."""
        import torch

        texts, heads, _, width = k.shape
        q = asked.reshape(texts, -1, heads, width).transpose(1, 2)
        if q.dtype != torch.bfloat16 or not q.is_cpu:
            seen = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        else:  # for texts of some 40 tokens torch's own takes twice as long there: it converts block by block
            flat = (texts * heads, -1, width)
            scores = torch.bmm(q.reshape(flat), k.view(flat).transpose(1, 2)).float().mul_(width**-0.5)
            seen = torch.bmm(torch.softmax(scores, -1).to(v.dtype), v.view(flat))
        return seen.view(texts, heads, -1, width).transpose(1, 2).reshape(len(asked), -1)
