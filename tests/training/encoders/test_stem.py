"""The stem's two ways to the same sums: a convolution, and the product of its windows with its weights."""

import pytest
import torch

from index.encoders.residual import StemConvolution


@pytest.mark.parametrize("shape", [(2, 1, 257, 300), (3, 1, 64, 75), (1, 1, 9, 8)])
def test_the_product_of_windows_is_the_convolution(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    stem, sound = StemConvolution(1, 8, 7, stride=2, padding=3, bias=False).double(), torch.randn(shape).double()
    convolved, product = stem(sound), stem._product(sound)
    torch.testing.assert_close(product, convolved)
    assert product.is_contiguous(memory_format=torch.channels_last)
    weights = torch.randn_like(convolved)
    gradients = [torch.autograd.grad((map * weights).sum(), stem.weight)[0] for map in (convolved, product)]
    torch.testing.assert_close(*gradients)


def test_the_name_of_its_weight_is_torchvisions() -> None:
    assert list(StemConvolution(1, 8, 7, bias=False).state_dict()) == ["weight"]
