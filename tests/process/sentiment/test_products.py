"""Products with packed weights against torch's own, in each type that this processor has them in."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `models`")

from ray_app.process.sentiment import products  # noqa: E402
from ray_app.process.sentiment.products import (  # noqa: E402
    GELU_LEAST,
    ByteProduct,
    Product,
    multiplies_bytes,
    packs,
)

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


@pytest.fixture
def bytes_here() -> None:
    if not multiplies_bytes():
        pytest.skip("this processor does not multiply bytes")


@pytest.mark.usefixtures("bytes_here")
@pytest.mark.parametrize("least", [None, GELU_LEAST], ids=["around 0", "of gelu"])
def test_a_product_of_bytes_is_within_their_steps(least: float | None):
    layer = layers()[1]
    product = ByteProduct(layer, least)
    for count in (1, 37, 300):
        rows = (
            torch.randn(count, 96) * torch.logspace(-2, 2, count)[:, None]
        )  # each row has a scale of its own
        if least is not None:
            rows = torch.nn.functional.gelu(rows)
        reach = rows.abs().amax(1, keepdim=True)
        for found, exact in (
            (product(rows), layer(rows)),
            (product.gelu(rows), torch.nn.functional.gelu(layer(rows))),
        ):
            assert found.dtype == torch.float32
            assert ((found - exact).abs() < 0.02 * reach + 1e-3).all()


@pytest.mark.usefixtures("bytes_here")
@pytest.mark.parametrize("least", [None, GELU_LEAST], ids=["around 0", "of gelu"])
def test_a_row_has_the_same_digits_beside_any_others(least: float | None):
    product, rows = ByteProduct(layers()[1], least), torch.randn(300, 96).clamp(min=GELU_LEAST)
    rows[7] = 0
    alone, loud = rows[5:9].clone(), rows * 100
    loud[5:9] = alone
    assert torch.equal(product(alone), product(rows)[5:9])
    assert torch.equal(product(alone), product(loud)[5:9])
    assert product(alone).isfinite().all()


@pytest.mark.usefixtures("bytes_here")
def test_sums_that_do_not_fit_into_16_bits_are_right():
    layer = torch.nn.Linear(96, 16).requires_grad_(False)
    layer.weight.copy_(torch.where(torch.arange(96) % 2 == 0, 1.0, 126 / 127).expand(16, 96))
    found = ByteProduct(layer)(torch.ones(1, 96))
    assert found[0].tolist() == pytest.approx((48 * (1 + 126 / 127) + layer.bias).tolist(), rel=1e-6)


@pytest.mark.parametrize("why", ["the processor", "torch"])
def test_where_bytes_are_not_multiplied_it_is_noticed(why: str, monkeypatch: pytest.MonkeyPatch):
    if why == "torch":
        monkeypatch.setattr(torch.ops, "onednn", object())
    able = {"avx512_vnni": why == "torch"}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    multiplies_bytes.cache_clear()
    try:
        assert not multiplies_bytes()
    finally:
        multiplies_bytes.cache_clear()
