"""Learned step sizes: LSQ's gradient, one step for all values that must share one, powers of two where rules ask for them."""

import numpy as np
import pytest

from addersim.arithmetic.fixed import FixedFormat
from addersim.layers import Affine, Window
from addersim.layers.base import Plan
from addersim.network import Network
from addersim.quantization.pipeline import lay_out, prepare
from addersim.quantization.rules import Quantization
from tests.unit import networks
from tests.unit.train.qat.test_codes import trained

torch = pytest.importorskip("torch")

from addersim.train.qat.module import QuantisedNetwork  # noqa: E402
from addersim.train.qat.steps import Octaves, ValueSteps, layer_of, stepped  # noqa: E402

NARROW = Quantization(weight_bits=3, activation_bits=3)


def test_the_gradient_of_a_step_is_the_code_less_the_value_in_steps():
    """Section 2.1 of LSQ: at the ends the code itself; here of the step's logarithm, and damped."""
    real = torch.tensor([-9.0, -2.7, 0.2, 1.4, 8.0])
    codes = torch.tensor([-4.0, -3.0, 0.0, 1.0, 3.0])
    octaves = Octaves(1, False, codes=25)
    step = octaves()
    (stepped(real, step, (-4, 3), codes) * step).sum().backward()
    by_hand = -4 + (-3 + 2.7) + (0 - 0.2) + (1 - 1.4) + 3
    assert octaves.octaves.grad.item() == pytest.approx(by_hand * np.log(2) / 5, rel=1e-5)


@pytest.mark.parametrize(("octave", "ratio"), [(0.0, 1.0), (0.4, 1.0), (0.6, 2.0), (-0.6, 0.5), (-1.4, 0.5)])
def test_whole_octaves_are_powers_of_two_and_still_learn(octave, ratio):
    octaves = Octaves(1, True, codes=1)
    torch.nn.init.constant_(octaves.octaves, octave)
    found = octaves()
    assert found.item() == ratio == octaves.ratios()[0]
    found.backward()
    assert octaves.octaves.grad.item() == pytest.approx(ratio * np.log(2))


@pytest.mark.parametrize("arithmetic", ["l1", "l2", "mac", "ternary"])
def test_all_steps_move(arithmetic):
    network = networks.residual(arithmetic=arithmetic)
    images = networks.images(network, 12)
    module = trained(network, images, NARROW)
    moved = {name: float(one.detach().abs().min()) for name, one in module.named_parameters() if name.endswith("octaves")}
    assert {name.split(".")[0] for name in moved} == {"values", "weights"}
    assert min(moved.values()) > 0, moved
    scales = module.plan.formats
    assert all(
        scales[layer_of(name)].scale != module.values.start.formats[layer_of(name)].scale for name in moved if "values" in name
    )


def test_powers_of_two_stay_so():
    network = networks.residual()
    images = networks.images(network, 12)
    how = Quantization(weight_bits=3, activation_bits=3, power_of_two=True)
    module = trained(network, images, how, rate=0.4)
    found = module.values.plan().formats
    assert any(held.scale != module.values.start.formats[name].scale for name, held in found.items())
    assert all(held.fraction_bits is not None for held in found.values())


def steps_of(network, how):
    images = networks.images(network, 12)
    laid = lay_out(prepare(network, images, how.fold_batch_norm), how)
    return laid, ValueSteps(laid.network, laid.plan)


@pytest.mark.parametrize("network", [networks.residual(), networks.uneven(), networks.branches()], ids=lambda one: one.name)
def test_values_that_share_a_scale_share_a_step(network):
    laid, steps = steps_of(network, NARROW)
    for layer in laid.network.layers:
        if layer.KEEPS_SCALE:
            assert len({steps.leader.get(name) for name in (layer.name, *layer.inputs)}) == 1, layer.name
        if layer.HAS_OWN_SCALE:
            assert layer.name not in steps.leader


def chain(arithmetic):
    """Two windows with the same weights, one behind the other."""
    weights = np.ones((2, 2, 1, 1), np.float32)
    layers = (
        Window(name="one", inputs=("input",), arithmetic=arithmetic, weights=weights),
        Affine(name="between", inputs=("one",), multiplier=np.ones(1), addend=np.zeros(1)),
        Window(name="two", inputs=("between",), arithmetic=arithmetic, weights=weights, shared="one"),
        Affine(name="last", inputs=("two",), multiplier=np.ones(1), addend=np.zeros(1)),
    )
    return Network(name="chain", input_shape=(2, 5, 5), mean=(0.0, 0.0), std=(1.0, 1.0), layers=layers)


def test_signs_have_no_step():
    formats = {"input": FixedFormat(4), "between": FixedFormat(1), "last": FixedFormat(4)}
    assert set(ValueSteps(chain("xnor"), Plan(formats, {}, NARROW, {})).leader) == {"input", "last"}


@pytest.mark.parametrize(("arithmetic", "together"), [("l1", True), ("mac", False)])
def test_inputs_of_adder_windows_that_share_weights_share_a_step(arithmetic, together):
    formats = dict.fromkeys(("input", "between", "last"), FixedFormat(4))
    steps = ValueSteps(chain(arithmetic), Plan(formats, {}, NARROW, {}))
    assert (steps.leader["input"] == steps.leader["between"]) is together
    assert steps.leader["last"] not in (steps.leader["input"], steps.leader["between"])


def test_filters_are_known_to_the_adder_methods_rate():
    from addersim.nn import AdderRate

    network = networks.residual(arithmetic="l1")
    module = QuantisedNetwork(network, networks.images(network, 12), NARROW)
    optimizer = torch.optim.SGD(module.parameters(), 0.01)
    optimizer.register_step_pre_hook(AdderRate(module, eta=1.0))
    before = {name: one.detach().clone() for name, one in module.named_parameters()}
    torch.nn.functional.cross_entropy(module(networks.images(network, 12)), torch.arange(12) % network.outputs).backward()
    optimizer.step()
    filters = [name for name in before if name.endswith(".adder")]
    adders = [layer for layer in network.layers if isinstance(layer, Window) and layer.arithmetic == "l1"]
    assert len(filters) == len(adders) > 0
    for name in filters:
        moved = module.get_parameter(name).detach() - before[name]
        assert float(moved.square().mean().sqrt()) == pytest.approx(0.01, rel=1e-3)


def test_steps_stay_within_reason():
    network = networks.residual()
    module = QuantisedNetwork(network, networks.images(network, 12), NARROW)
    octaves = [one for name, one in module.named_parameters() if name.endswith("octaves")]
    for one in octaves:
        one.data.fill_(2000.0)
    module.project()
    assert {float(one.detach().max()) for one in octaves} == {8.0}
    assert np.isfinite(module(networks.images(network, 12)).detach().numpy()).all()


@pytest.mark.parametrize("arithmetic", ["l1", "l2"])
def test_adder_weights_stay_what_they_are_when_the_step_of_their_input_changes(arithmetic):
    """Half the step for the same weights: twice the codes, but for rounding, and for those that the format ends at."""
    network = networks.residual(arithmetic=arithmetic)
    images = networks.images(network, 12)
    module = QuantisedNetwork(network, images, Quantization(weight_bits=8, activation_bits=8, clip_weights=False))
    before = {layer.name: layer for layer in module.trained(images)[1].layers}
    for name, one in module.named_parameters():
        if name.startswith("values."):
            one.data.fill_(-1.0)
    for layer in module.trained(images)[1].layers:
        if layer.kind() == "window" and layer.datapath.startswith(arithmetic):
            first, held = before[layer.name], layer.weight_format
            assert held.scale == first.weight_format.scale / 2
            wanted = np.clip(2 * first.weights.astype(int), held.minimum, held.maximum)
            assert np.abs(layer.weights - wanted).max() <= 1
            assert np.abs(wanted).max() > 8
