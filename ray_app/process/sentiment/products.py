"""Matrix products with the weights of linear layers, packed once for the processor they run on where oneDNN can."""

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

_PACKED_FOR = 2_048  # rows; others are no slower
GELU_LEAST = -0.17
_TINY = 1e-20  # a row of zeros has no scale
_BYTE_PRODUCTS = (
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
)  # a processor with one of these adds them up in 32 bits


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


class ByteProduct:
    """`rows @ weight.T + bias` in 8 bits, of one linear layer: a scale for each row and one for each output.

    Takes and gives float32. Sums of integers are exact, so a row gets the same digits whatever stands beside it.
    `least`: what no value of a row lies below; all 256 steps then lie above it. None: they lie on both sides of 0.
    """

    def __init__(self, layer: Any, least: float | None = None) -> None:
        import torch

        weight = layer.weight.detach()
        self._scales = weight.abs().amax(1).clamp(min=_TINY).div_(127)
        steps = (weight / self._scales[:, None]).round_().to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(steps, [_PACKED_FOR, weight.shape[1]])
        self._zeros = torch.zeros(len(steps), dtype=torch.int32)
        self._least, self._zero = least, 128
        self._bias = layer.bias.detach().clone()
        if least is not None:
            self._zero = 0
            self._bias += least * self._scales * steps.sum(1)

    def __call__(self, rows: "Tensor") -> "Tensor":
        """[rows, outputs] for rows [rows, inputs]."""
        import torch

        if self._least is None:
            scale = torch.maximum(rows.amax(1, keepdim=True), -rows.amin(1, keepdim=True)) / 127
            steps = rows * scale.clamp_(min=_TINY).reciprocal()
        else:
            scale = (rows.amax(1, keepdim=True) - self._least) / 255
            per = scale.clamp_(min=_TINY).reciprocal()
            steps = torch.addcmul(-self._least * per - 128, rows, per)
        # Torch converts floats to signed bytes eight times as fast as to unsigned ones, which the product wants.
        steps = steps.round_().to(torch.int8).view(torch.uint8).bitwise_xor_(128)
        answer: Tensor = torch.ops.onednn.qlinear_pointwise(
            steps, 1.0, self._zero, self._weight, self._scales, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )  # fmt: skip
        return answer.mul_(scale).add_(self._bias)

    def gelu(self, rows: "Tensor") -> "Tensor":
        """gelu of the product: nothing of it lies below GELU_LEAST."""
        import torch

        return torch.nn.functional.gelu(self(rows))


@cache
def multiplies_bytes() -> bool:
    """Whether this processor multiplies bytes fast, and this torch rightly: others end sums of two at 16 bits."""
    import torch

    able = torch.cpu.get_capabilities()
    if not any(able.get(name) for name in _BYTE_PRODUCTS):
        return False
    layer = torch.nn.Linear(64, 16).requires_grad_(False)
    layer.weight.fill_(1.0)
    layer.bias.zero_()
    try:
        made = ByteProduct(layer, least=0.0)(torch.full((2, 64), 255.0))
    except (RuntimeError, AttributeError):  # not this torch
        return False
    return bool(((made - 255 * 64).abs() < 0.1).all())
