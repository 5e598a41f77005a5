"""Products with packed weights against torch's own, in each type that this processor has them in."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `models`")

from ray_app.process.sentiment import products  # noqa: E402
from ray_app.process.sentiment.products import Product, packs  # noqa: E402

# Of a sum of about 1 with 96 terms: what the type itself rounds away.
NEAR = {torch.float32: 1e-5, torch.bfloat16: 3e-2}


def layers() -> list[Any]:
    """Two layers over the same rows, whose outputs are about 1."""
    torch.manual_seed(3)
    made = [torch.nn.Linear(96, outputs).requires_grad_(False) for outputs in (64, 160)]
    for layer in made:
        layer.weight.normal_(0, 0.1)
    return made


@pytest.mark.parametrize("dtype", list(NEAR), ids=str)
@pytest.mark.parametrize("packed", [True, False])
def test_a_product_is_that_of_its_layers(dtype: Any, packed: bool, monkeypatch: pytest.MonkeyPatch):
    if packed and not packs(dtype):
        pytest.skip(f"no packed {dtype} on this processor")
    monkeypatch.setattr(products, "packs", lambda _: packed)
    both = layers()
    product = Product(both, dtype)
    for count in (1, 37, 300):
        rows = torch.randn(count, 96)
        wanted = torch.cat([layer(rows) for layer in both], dim=1)
        for found, exact in (
            (product(rows), wanted),
            (product.gelu(rows), torch.nn.functional.gelu(wanted)),
        ):
            assert found.dtype == dtype
            assert (found.float() - exact).abs().max() < NEAR[dtype]


def test_a_torch_without_the_operations_is_noticed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.ops, "mkldnn", object())
    packs.cache_clear()
    try:
        assert not packs(torch.float32)
        assert Product(layers(), torch.float32)(torch.ones(1, 96)).shape == (1, 224)
    finally:
        packs.cache_clear()
