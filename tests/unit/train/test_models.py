import pytest

torch = pytest.importorskip("torch")

from torch import fx, nn  # noqa: E402

from addersim.errors import NetworkError  # noqa: E402
from addersim.train.architectures.ghostnet import GhostModule  # noqa: E402
from addersim.train.architectures.layers import Layers  # noqa: E402
from addersim.train.architectures.mobilenet import SqueezeExcite  # noqa: E402
from addersim.train.architectures.shufflenet import ShuffleUnit  # noqa: E402
from addersim.train.coded import CodedLayer  # noqa: E402
from addersim.train.models import ARCHITECTURES, build, load_weights  # noqa: E402
from addersim.train.nn import Adder2d, AdderLinear  # noqa: E402
from tests.taps import TAPS  # noqa: E402

ADDERS, MULTIPLIERS = (Adder2d, AdderLinear, CodedLayer), (nn.Conv2d, nn.Linear)
SMALL = ("lenet5", "resnet20", "mobilenetv2", "shufflenetv2-x0.5")
CHOSEN = [name for name in ARCHITECTURES if name.endswith(("-adder", "-conv")) or name.rpartition("-")[0] in SMALL]
"""Of the other arithmetics, a few networks."""


@pytest.fixture(scope="module", params=CHOSEN)
def measured(request):
    """An architecture, its output, and its taps by (arithmetic, layer name); batches of one without touching memory."""
    found = ARCHITECTURES[request.param]
    taps = {}
    with torch.device("meta"):
        network = build(found.name).eval()

        def count(name):
            def hook(module, inputs, output):
                filters = module.adder if hasattr(module, "adder") else module.weight
                taps[isinstance(module, ADDERS), name] = output.numel() * filters[0].numel()

            return hook

        for name, module in network.named_modules():
            if isinstance(module, ADDERS + MULTIPLIERS):
                module.register_forward_hook(count(name))
        output = network(torch.empty(1, *found.input_shape))
    return found, output, taps


def test_taps(measured):
    found, output, taps = measured
    if found.layers.arithmetic != "shiftadd":  # which has two layers for one
        assert sum(taps.values()) == TAPS[found.name.rpartition("-")[0]]
    assert output.shape == (1, found.classes)


def test_arithmetic_and_ends(measured):
    found, _, taps = measured
    adders = [adder for adder, _ in taps]
    if found.layers.arithmetic == "conv":
        assert not any(adders)
    elif found.layers.ends == "adder":
        assert all(adders)
    else:
        assert [position for position, adder in enumerate(adders) if not adder] == [0, len(adders) - 1]


def test_released_resnet20_multiplies_only_at_its_ends(measured):
    found, _, taps = measured
    if found.name == "resnet20-adder":
        multiplications = sum(count for (adder, _), count in taps.items() if not adder)
        assert multiplications == 443_008
        assert 2 * sum(count for (adder, _), count in taps.items() if adder) + multiplications == 81_183_360


IMAGENET = [name for name, found in ARCHITECTURES.items() if found.input_shape == (3, 224, 224)]


def sizes(name, shape):
    """Heights of a network's values, from its window and pooling layers, without touching memory."""
    found = []
    with torch.device("meta"):
        network = build(name, input_shape=shape).eval()
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, Adder2d, nn.MaxPool2d)):
                module.register_forward_hook(lambda module, inputs, output: found.append(output.shape[-1]))
        network(torch.empty(1, *shape))
    return found


@pytest.mark.parametrize(
    "name", [name for name in IMAGENET if name.endswith("-conv") and name[:-5] + "-cifar-conv" in ARCHITECTURES]
)
def test_small_images_skip_two_halvings(name):
    """What is averaged at the end has 1/32 of the side, 1/8 in the form for small images; SqueezeNet's 1/16 and 1/4."""
    small = name[:-5] + "-cifar-conv"
    halvings = 16 if name.startswith("squeezenet") else 32
    large = [one for one in sizes(name, (3, 256, 256)) if one > 1]
    assert min(large) in (256 // halvings, 256 // halvings - 1)  # SqueezeNet does not pad its first layer
    assert min(one for one in sizes(small, (3, 64, 64)) if one > 1) == 64 * 4 // halvings


@pytest.mark.parametrize("name", [name for name in CHOSEN if ARCHITECTURES[name].smallest])
def test_grey_images_and_the_smallest_ones(name):
    side = 29 if name.startswith("densenet121") else 28
    with torch.device("meta"):
        network = build(name, input_shape=(1, side, side), classes=7).eval()
        assert network(torch.empty(2, 1, side, side)).shape == (2, 7)
    message = rf"{name}: takes images of .*, or any channels of at least {side} x {side}; found \(1, 40, {side - 1}\)"
    with pytest.raises(NetworkError, match=message):
        build(name, input_shape=(1, 40, side - 1))


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 32, 32), (3, 32), (0, 32, 32), ()])
def test_networks_of_one_size_take_no_other(shape):
    with pytest.raises(NetworkError, match=r"resnet20-conv: takes images of \(3, 32, 32\); found \("):
        build("resnet20-conv", input_shape=shape)


@pytest.mark.parametrize("shape", [(3, 64), (0, 64, 64), (3, 64, 64, 1), (64,)])
def test_networks_of_any_size_take_images_only(shape):
    with pytest.raises(NetworkError, match="mobilenetv2-cifar-conv: takes images of"):
        build("mobilenetv2-cifar-conv", input_shape=shape)


@pytest.mark.parametrize("name", ["squeezenet1.1-cifar", "mobilenetv3-small-x0.5-cifar", "ghostnet-cifar"])
def test_adder_layers_have_batch_norm_where_others_have_a_bias(name):
    """Behind an adder layer, whose sums are never positive, every ReLU and gate would stay shut without one."""
    network = build(f"{name}-adder", ends="adder")
    kinds = [module for module in network.modules() if isinstance(module, (*ADDERS, nn.BatchNorm1d, nn.BatchNorm2d))]
    for layer, after in zip(kinds[::2], kinds[1::2], strict=True):
        assert isinstance(layer, ADDERS)
        assert layer.bias is None
        assert after.num_features == (layer.out_channels if isinstance(layer, Adder2d) else layer.out_features)


@pytest.mark.parametrize("name", ["squeezenet1.1-cifar-adder", "mobilenetv3-small-x0.5-cifar-adder", "ghostnet-cifar-adder"])
def test_images_reach_the_scores_of_adder_networks(name):
    torch.manual_seed(0)
    network = build(name, seed=1).train()
    with torch.no_grad():
        scores = network(torch.randn(4, 3, 32, 32))
    assert scores.std(0).max() > 1e-3


def test_a_gate_scales_each_channel_by_its_average():
    gate = SqueezeExcite(Layers("conv"), 2, 8)
    with torch.no_grad():
        for layer in (gate.reduce, gate.expand):
            layer.weight.zero_()
            layer.bias.zero_()
        gate.reduce.weight[0, 1] = 1.0  # the second channel's average, if positive, ...
        gate.expand.weight[0, 0] = 3.0  # ... opens the gate of the first
        x = torch.tensor([[[[1.0, 3.0]], [[0.5, 0.1]]], [[[1.0, 3.0]], [[-2.0, 1.0]]]])
        expected = torch.tensor([[[[0.65, 1.95]], [[0.25, 0.05]]], [[[0.5, 1.5]], [[-1.0, 0.5]]]])
        torch.testing.assert_close(gate(x), expected)


def test_shuffling_takes_one_channel_of_each_half_by_turns():
    unit = ShuffleUnit(Layers("conv"), 6, 6, 1, split=True).eval()
    unit.branch = nn.Identity()
    x = torch.arange(6.0).reshape(1, 6, 1, 1)
    assert unit(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]


def test_a_ghost_is_made_of_the_half_beside_it():
    ghost = GhostModule(Layers("conv"), 3, 8, activation=nn.Identity).eval()
    x = torch.randn(1, 3, 5, 5)
    with torch.no_grad():
        first, second = ghost(x).chunk(2, 1)
        torch.testing.assert_close(first, ghost.primary(x))
        torch.testing.assert_close(second, ghost.cheap(first))


@pytest.mark.parametrize("name", ["lenet5-adder", "resnet20-adder", "resnet20-conv"])
def test_torch_fx_traces_and_the_trace_computes_the_same(name):
    network = build(name, seed=1).eval()
    x = torch.randn(2, *ARCHITECTURES[name].input_shape)
    with torch.no_grad():
        torch.testing.assert_close(fx.symbolic_trace(network)(x), network(x))


def test_ends_classes_and_gradient_are_options():
    network = build("resnet20-adder", ends="adder", classes=100, gradient="sign")
    assert not any(isinstance(module, MULTIPLIERS) for module in network.modules())
    assert {module.gradient for module in network.modules() if isinstance(module, Adder2d)} == {"sign"}
    assert network.fc.out_channels == network.bn2.num_features == 100
    assert isinstance(build("lenet5-adder", ends="multiply").conv1, nn.Conv2d)


def test_weights_follow_from_the_seed_and_the_global_state_is_left_alone():
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, second, third = (build("lenet5-adder", seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(first.conv2.adder, second.conv2.adder)
    assert not torch.equal(first.conv2.adder, third.conv2.adder)


def test_unknown_names():
    with pytest.raises(
        NetworkError, match="'alexnet' is not known; known: lenet5, vgg-small, .*, each with -adder, .* -shiftadd, -conv"
    ):
        build("alexnet")
    with pytest.raises(NetworkError, match="ends 'both' is not one of adder, multiply"):
        build("lenet5-adder", ends="both")


def official_resnet20_names():
    """Names in a state dict of the released resnet20.py, saved from DataParallel."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = ["conv1.weight", "fc.weight", *(f"{bn}.{key}" for bn in ("bn1", "bn2") for key in norm)]
    for stage in (1, 2, 3):
        for block in range(3):
            prefix = f"layer{stage}.{block}"
            names += [f"{prefix}.conv{i}.adder" for i in (1, 2)] + [f"{prefix}.bn{i}.{key}" for i in (1, 2) for key in norm]
            if stage > 1 and block == 0:
                names += [f"{prefix}.downsample.0.adder", *(f"{prefix}.downsample.1.{key}" for key in norm)]
    return names


@pytest.mark.parametrize("prefix", ["", "module."])
def test_state_dicts_of_the_released_code_load(prefix):
    source, target = build("resnet20-adder", seed=1), build("resnet20-adder", seed=2)
    state = source.state_dict()
    assert set(official_resnet20_names()) == set(state)
    load_weights(target, {prefix + name: state[name] for name in official_resnet20_names()})
    assert all(torch.equal(tensor, state[name]) for name, tensor in target.state_dict().items())


def test_state_dict_of_another_network_lists_what_differs():
    network = build("resnet20-adder", seed=1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    message = (
        r"do not fit ResNet: 20 missing: layer1.0.conv1.adder \(nearest layer1.0.conv1.weight\), .* and 15 more; 20 unknown: "
    )
    with pytest.raises(NetworkError, match=message):
        load_weights(network, build("resnet20-conv").state_dict())
    with pytest.raises(NetworkError, match=r"fc.weight \(100, 64, 1, 1\) instead of \(10, 64, 1, 1\)"):
        load_weights(network, build("resnet20-adder", classes=100).state_dict())
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
