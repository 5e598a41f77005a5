"""Matrix products with the weights of linear layers, packed once for the processor they run on where oneDNN can."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_PACKED_FOR = 2_048  # rows; others are no slower


class Product:
    """`rows @ weight.T + bias` in one type of number, of linear layers over the same rows as one product."""

    def __init__(self, layers: Sequence[Any], dtype: Any) -> None:
        import torch

        weight = torch.cat([layer.weight.detach() for layer in layers]).to(dtype)
        self._bias = torch.cat([layer.bias.detach() for layer in layers]).to(dtype)
        self._dtype = dtype
        self._packed = weight.is_cpu and packs(dtype)
        if self._packed:
            weight = torch.ops.mkldnn._reorder_linear_weight(weight, _PACKED_FOR)
        self._weight = weight

    def __call__(self, rows: "Tensor") -> "Tensor":
        """[rows, outputs] in its type, for rows of any type."""
        import torch

        rows = rows.to(self._dtype)
        if not self._packed:
            return torch.nn.functional.linear(rows, self._weight, self._bias)
        answer: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self._weight, self._bias, "none", [], "")
        return answer

    def gelu(self, rows: "Tensor") -> "Tensor":
        """gelu of the product."""
        import torch

        if (
            not self._packed or self._dtype == torch.float32
        ):  # there it costs more within the product than after it
            return torch.nn.functional.gelu(self(rows))
        answer: Tensor = torch.ops.mkldnn._linear_pointwise(
            rows.to(self._dtype), self._weight, self._bias, "gelu", [], "none"
        )
        return answer


@cache
def packs(dtype: Any) -> bool:
    """Whether oneDNN multiplies with packed weights of this type on this processor, and rightly."""
    import torch

    ones = torch.ones(2, 32, dtype=dtype)
    try:
        weight = torch.ops.mkldnn._reorder_linear_weight(torch.ones(32, 32, dtype=dtype), 2)
        plain = torch.ops.mkldnn._linear_pointwise(ones, weight, ones[0], "none", [], "")
        curved = torch.ops.mkldnn._linear_pointwise(ones, weight, ones[0], "gelu", [], "none")
    except (RuntimeError, AttributeError):  # not this processor, not this torch
        return False
    return bool((plain == 33).all() and (curved == 33).all())
