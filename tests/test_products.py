"""Products with weights on a CPU: oneDNN's are torch's, gradients too, and are taken where they are quicker."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plvm import products
from plvm.products import Kept, Linear, by_torch, prepack, product, quicken


@pytest.fixture
def asked(wide: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, ...]]]:
    """The shapes of what oneDNN was asked to multiply, on whatever processor this runs."""
    seen: list[tuple[int, ...]] = []
    real: Callable[..., Tensor] = products._multiplied

    def counted(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        seen.append((*x.shape, weight.shape[0]))
        return real(x, weight, bias)

    monkeypatch.setattr(products, "_multiplied", counted)
    yield seen


@pytest.mark.parametrize("shape", [(640,), (1, 640), (3, 7, 640), (2, 3, 5, 640)])
@pytest.mark.parametrize("biased", [False, True])
def test_a_product_is_that_of_torch_and_its_gradients_are(
    shape: tuple[int, ...], biased: bool, asked: list[tuple[int, ...]]
) -> None:
    random = torch.Generator().manual_seed(len(shape))
    x, weight, bias = (torch.randn(s, generator=random, requires_grad=True) for s in (shape, (512, 640), (512,)))
    given = (x, weight, bias) if biased else (x, weight)
    ours, theirs = product(*given), F.linear(*given)
    along = torch.randn(theirs.shape, generator=random)
    assert asked == [(*shape, 512)]
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-4)
    for own, other in zip(torch.autograd.grad(ours, given, along), torch.autograd.grad(theirs, given, along), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-5, atol=1e-4)


def test_frozen_weights_keep_nothing_of_what_they_multiply_for_the_way_back(asked: list[tuple[int, ...]]) -> None:
    x = torch.randn(40, 640, requires_grad=True)
    out = product(x * 1.0, torch.randn(512, 640))
    assert asked and out.grad_fn is not None
    assert [s is None for s in out.grad_fn.saved_tensors] == [True, False]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("why", "x", "weight"),
    [
        ("it is small", torch.ones(2, 64), torch.ones(64, 64)),
        ("the weights are", torch.ones(30, 128), torch.ones(128, 128)),
        ("it is not in float32", torch.ones(40, 640, dtype=torch.float64), torch.ones(640, 640, dtype=torch.float64)),
        ("it is not on a CPU", torch.ones(40, 640, device="meta"), torch.ones(640, 640, device="meta")),
    ],
)
def test_torch_multiplies_where(why: str, x: Tensor, weight: Tensor, asked: list[tuple[int, ...]]) -> None:
    assert product(x, weight).shape == (len(x), len(weight))
    assert not asked, why


def test_small_weights_are_worth_it_for_many_and_large_ones_for_one(asked: list[tuple[int, ...]]) -> None:
    product(torch.ones(64, 128), torch.ones(128, 128))
    product(torch.ones(1, 640), torch.ones(512, 640))
    assert asked == [(64, 128, 128), (1, 640, 512)]


def test_mixed_precision_is_left_to_torch(asked: list[tuple[int, ...]]) -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert product(torch.ones(40, 640), torch.ones(512, 640)).dtype == torch.bfloat16
    with by_torch():
        product(torch.ones(40, 640), torch.ones(512, 640))
    assert not asked
    product(torch.ones(40, 640), torch.ones(512, 640))
    assert asked


def test_a_quickened_model_says_the_same_and_saves_the_same(asked: list[tuple[int, ...]]) -> None:
    class Own(nn.Linear):
        """A layer that is not torch's own: somebody has a reason for it."""

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(640, 512), nn.GELU(), nn.Sequential(nn.Linear(512, 640)), Own(640, 512))
    x, before = torch.randn(8, 640), {name: value.clone() for name, value in model.state_dict().items()}
    said = model(x)
    quicken(model)
    torch.testing.assert_close(model(x), said, rtol=1e-5, atol=1e-5)
    assert [type(m) for m in model.modules() if isinstance(m, nn.Linear)] == [Linear, Linear, Own]
    assert asked == [(8, 640, 512), (8, 512, 640)]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("biased", [False, True])
def test_small_layers_of_one_input_are_one_product_and_what_each_of_them_makes(
    biased: bool, asked: list[tuple[int, ...]]
) -> None:
    torch.manual_seed(0)
    layers, x = [Linear(96, width, bias=biased) for width in (128, 64)], torch.randn(3, 50, 96)
    kept = Kept()
    with torch.inference_mode():
        together = kept.product(x, *layers)
        assert together is not None and asked == [(3, 50, 96, 192)]
        torch.testing.assert_close(together, torch.cat([F.linear(x, m.weight, m.bias) for m in layers], -1), rtol=1e-5, atol=1e-5)
        assert kept.product(x[:1, :2], *layers) is None, "few multiplications"
        assert kept.product(x.double(), *layers) is None, "another number format"
        with by_torch():
            assert kept.product(x, *layers) is None
        assert kept.product(torch.ones(40, 640), Linear(640, 512)) is None, "large weights are held once"
        assert kept.product(x, layers[0], nn.Sequential(layers[1])) is None, "a layer of another kind"
        assert kept.product(x, layers[0], Linear(96, 64, bias=not biased)) is None, "a bias for some"
    assert kept.product(x, *layers) is None, "gradients are asked for"


def test_weights_that_change_are_laid_out_anew(asked: list[tuple[int, ...]]) -> None:
    layer, x = Linear(128, 128), torch.ones(64, 128)
    said, other = list[Tensor](), nn.Parameter(torch.ones(128, 128))
    changes = (lambda: None, lambda: layer.weight.mul_(2), lambda: layer.bias.zero_(), lambda: setattr(layer, "weight", other))
    for step in changes:
        with torch.no_grad():
            step()
            said.append(layer(x))
            torch.testing.assert_close(said[-1], F.linear(x, layer.weight, layer.bias), rtol=1e-5, atol=1e-4)
    assert len(asked) == 4 and not torch.equal(said[0], said[1])


def test_weights_that_come_to_lie_where_others_lay_are_told_from_them(asked: list[tuple[int, ...]]) -> None:
    layer, x = Linear(128, 128, bias=False), torch.ones(64, 128)
    with torch.no_grad():
        for value in range(20):
            layer(x)
            layer.weight.data = torch.empty(0)  # its memory is free for what comes next
            layer.weight.data = torch.full((128, 128), float(value))
            torch.testing.assert_close(layer(x), torch.full((64, 128), 128.0 * value))
    assert asked


def test_a_copy_of_a_layer_lays_out_its_own_weights(asked: list[tuple[int, ...]]) -> None:
    layer, x = Linear(128, 128), torch.ones(64, 128)
    with torch.no_grad():
        before = layer(x)
        other = copy.deepcopy(layer)
        other.weight.zero_()
        torch.testing.assert_close(other(x), layer.bias.expand(64, -1))
        assert torch.equal(layer(x), before)
    assert set(layer.state_dict()) == {"weight", "bias"}


def prepacked() -> tuple[nn.Sequential, Tensor]:
    """A frozen model whose large layers are laid out, and the weight that the first of them had."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(640, 512), nn.Linear(512, 600, bias=False), nn.Linear(600, 64)).requires_grad_(False)
    weight = model[0].weight.detach().clone()
    quicken(model)
    prepack(model)
    return model, weight


def test_large_frozen_weights_are_held_once_as_they_are_laid_out_and_multiply_as_before(asked: list[tuple[int, ...]]) -> None:
    model = nn.Sequential(nn.Linear(640, 512)).requires_grad_(False)
    quicken(model)
    x, plain = torch.randn(3, 640), weakref.ref(model[0].weight)
    with torch.no_grad():
        before = model(x)
        prepack(model)
        assert plain() is None, "the plain weight is gone"
        prepack(model)
        assert model[0].weight.is_mkldnn and model[0].weight.shape == (512, 640)
        torch.testing.assert_close(model(x), before, rtol=1e-5, atol=1e-5)
    assert asked == 2 * [(3, 640, 512)]


def test_small_weights_and_those_that_are_trained_or_in_another_format_are_not_laid_out(asked: list[tuple[int, ...]]) -> None:
    model, _ = prepacked()
    assert [m.weight.is_mkldnn for m in model] == [True, True, False]
    for other in (Linear(640, 512), Linear(640, 512).double().requires_grad_(False)):
        prepack(other)
        assert not other.weight.is_mkldnn


@pytest.mark.parametrize("context", [torch.enable_grad, by_torch])
def test_who_trains_or_compares_finds_plain_weights_again(context: Callable[[], Any], asked: list[tuple[int, ...]]) -> None:
    model, weight = prepacked()
    x = torch.randn(3, 640, requires_grad=True)
    with context():
        found = model(x)
    assert torch.equal(model[0].weight, weight)
    wanted = F.linear(F.linear(F.linear(x, weight, model[0].bias), model[1].weight), *model[2].parameters())
    torch.testing.assert_close(found, wanted)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    wanted = model[2].weight.sum(0) @ model[1].weight @ weight
    torch.testing.assert_close(gradient, wanted.expand(3, -1), rtol=1e-4, atol=1e-4)


def test_weights_in_bfloat16_are_laid_out_too_and_multiply_as_torch_does(asked: list[tuple[int, ...]]) -> None:
    if torch.bfloat16 not in products._formats:
        pytest.skip("oneDNN has no bfloat16 here")
    model, x = nn.Sequential(nn.Linear(640, 512)).bfloat16().requires_grad_(False), torch.randn(3, 640).bfloat16()
    quicken(model)
    with torch.inference_mode():
        before = model(x)
        assert not asked
        prepack(model)
        assert torch.equal(model(x), before) and asked == [(3, 640, 512)]


def test_copies_and_what_is_saved_have_plain_weights_and_change_nothing(asked: list[tuple[int, ...]]) -> None:
    model, weight = prepacked()
    assert torch.equal(copy.deepcopy(model)[0].weight, weight)
    assert torch.equal(model.state_dict()["0.weight"], weight)
    assert model[0].weight.is_mkldnn


def test_a_model_that_is_moved_or_gets_other_weights_has_plain_ones(asked: list[tuple[int, ...]]) -> None:
    moved, weight = prepacked()
    assert torch.equal(moved.double()[0].weight, weight.double())
    loaded, _ = prepacked()
    loaded.load_state_dict({name: value + 1 for name, value in loaded.state_dict().items()})
    assert torch.equal(loaded[0].weight, weight + 1)


def test_weights_that_become_plain_again_in_inference_mode_can_be_trained_through(asked: list[tuple[int, ...]]) -> None:
    model, _ = prepacked()
    with torch.inference_mode(), by_torch():
        model(torch.randn(3, 640))
    x = torch.randn(3, 640, requires_grad=True)
    model(x).sum().backward()
    assert x.grad is not None
