import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from addersim.datasets import load  # noqa: E402
from addersim.train import probe  # noqa: E402
from addersim.train.nn import Adder2d, AdderLinear  # noqa: E402
from addersim.train.recipe import Recipe  # noqa: E402

RECIPE = Recipe(architecture="lenet5-adder", data="fashion-mnist", batch=128)
CONV = Recipe(architecture="lenet5-conv", data="fashion-mnist", batch=128)


@pytest.fixture
def embedded_images(monkeypatch):
    monkeypatch.setattr(probe, "load", lambda name, root, split: load("fashion-mnist-2000", limit=256))


@pytest.mark.usefixtures("embedded_images")
def test_adder_gradients_are_far_smaller_as_in_the_papers_table():
    rows = probe.gradient_norms(RECIPE)
    assert [row["layer"] for row in rows] == ["conv1", "conv2", "fc1", "fc2", "fc3"]
    assert all(0 < 10 * row["adder"] < row["conv"] for row in rows)
    assert rows == probe.gradient_norms(RECIPE)


def test_norms_are_those_of_the_raw_gradients(monkeypatch):
    layer = nn.Sequential(AdderLinear(3, 2, bias=False))
    monkeypatch.setattr(probe, "_twin", lambda recipe, arithmetic: layer)
    monkeypatch.setattr(probe, "_first_batch", lambda *_: (torch.ones(1, 3), torch.tensor([0])))
    (row,) = probe.gradient_norms(RECIPE)
    weights = torch.softmax(layer(torch.ones(1, 3)), 1) - torch.tensor([[1.0, 0.0]])
    expected = ((torch.ones(3) - layer[0].adder) * weights.T).norm()  # the second twin adds the same gradient once more
    assert (row["adder"], row["conv"]) == pytest.approx((float(expected.detach()), 2 * float(expected.detach())), rel=1e-5)


@pytest.mark.parametrize("make", [Adder2d, nn.Conv2d])
def test_variances_meet_the_formulas_where_their_assumptions_hold(monkeypatch, make):
    torch.manual_seed(0)
    layer = make(64, 256, 3, bias=False)
    nn.init.normal_(layer.adder if make is Adder2d else layer.weight, std=0.5)
    monkeypatch.setattr(probe, "_twin", lambda recipe, arithmetic: nn.Sequential(layer))
    monkeypatch.setattr(probe, "_first_batch", lambda *_: (2 * torch.randn(400, 64, 3, 3), torch.zeros(1)))
    (row,) = probe.output_variances(RECIPE)
    expected = 576 * 4 * 0.25 if make is nn.Conv2d else 576 * 4.25 * (1 - 2 / torch.pi)
    assert row["arithmetic"] == ("conv" if make is nn.Conv2d else "adder")
    assert row["formula"] == pytest.approx(expected, rel=0.02)
    assert row["measured"] == pytest.approx(expected, rel=0.1)
    assert row["ratio"] == row["measured"] / row["formula"]


@pytest.mark.usefixtures("embedded_images")
def test_adder_outputs_vary_more_than_those_of_convolutions():
    adder, conv = (probe.output_variances(changed) for changed in (RECIPE, CONV))
    assert all(a["measured"] > 10 * c["measured"] for a, c in zip(adder, conv, strict=True))
