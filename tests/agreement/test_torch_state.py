"""Modules whose forward leaves something behind: refused where that decides what they give, and else as they are."""

import numpy as np
import pytest
import torch
from torch import nn

from addersim.errors import LoweringError
from addersim.frontends.torch.lower import lower


class Remembers(nn.Module):
    """Counts its calls in a buffer or an attribute, and makes something of the count."""

    def __init__(self, act):
        super().__init__()
        self.stem, self.act, self.calls = nn.Linear(5, 4), act, 0
        self.register_buffer("count", torch.zeros(()))

    def forward(self, x):
        return self.act(self, self.stem(x))


def by_buffer(self, y):
    self.count += 1
    return y * self.count


def by_attribute(self, y):
    self.calls += 1
    return y * self.calls


def by_a_draw(self, y):
    return y + float(np.random.rand())  # noqa: NPY002 - as modules of people do


def in_a_closure():
    calls = []

    def hook(module, given, output):
        calls.append(0)
        return output * len(calls)

    net = Remembers(lambda self, y: y)
    net.stem.register_forward_hook(hook)
    return net


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            Remembers(by_buffer),
            "^Remembers: gives other values the second time .*: its forward changes count; a network has no",
        ),
        (nn.Sequential(Remembers(by_attribute)), ": its forward changes 0.calls; a network has no memory"),
        (Remembers(by_a_draw), "its forward draws numbers, or remembers something; a network has no memory"),
        (in_a_closure(), "its forward draws numbers, or remembers something"),
    ],
)
def test_memory_is_refused_by_name(module, message):
    with pytest.raises(LoweringError, match=message):
        lower(module, (5,))
    assert all(int(one.calls) == 0 and float(one.count) == 0 for one in module.modules() if isinstance(one, Remembers))


def test_what_is_kept_and_not_read_changes_nothing():
    def counts(self, y):
        self.calls += 1
        self.count += 1
        return y

    module = Remembers(counts).eval()
    network = lower(module, (5,))
    x = torch.randn(3, 5)
    np.testing.assert_allclose(network.run(x.numpy()), module(x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_random_slopes_are_their_mean_at_inference():
    module = nn.Sequential(nn.Linear(5, 4), nn.RReLU(0.1, 0.5))
    network = lower(module, (5,))
    x = torch.randn(3, 5)
    np.testing.assert_allclose(network.run(x.numpy()), module.eval()(x).detach().numpy(), rtol=1e-5, atol=1e-6)
    drawing = Remembers(lambda self, y: torch.rrelu(y, training=True))
    with pytest.raises(LoweringError, match="rrelu at forward, .*: draws its slopes at inference"):
        lower(drawing, (5,))


@pytest.mark.parametrize(
    "act",
    [lambda self, y: y * 2 if y.size(0) > 16 else y, lambda self, y: y.reshape(-1, y.size(0)).reshape(y.shape)],
    ids=["branch", "reshape"],
)
def test_another_way_for_other_numbers_of_images_is_told_so(act):
    with pytest.raises(LoweringError, match="goes another way for some numbers of images, or mixes images by a reshape"):
        lower(Remembers(act), (5,))
