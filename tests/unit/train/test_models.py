import pytest

torch = pytest.importorskip("torch")

from torch import fx, nn  # noqa: E402

from addersim.errors import NetworkError  # noqa: E402
from addersim.train.models import ARCHITECTURES, build, load_weights  # noqa: E402
from addersim.train.nn import Adder2d, AdderLinear  # noqa: E402

ADDERS, MULTIPLIERS = (Adder2d, AdderLinear), (nn.Conv2d, nn.Linear)
TAPS = {
    "lenet5": 416_520,
    "vgg-small": 607_600_640,
    "resnet20": 40_813_184,
    "resnet32": 69_124_736,
    "resnet18": 1_814_073_344,
    "resnet50-v1": 3_857_973_248,
    "resnet50": 4_089_184_256,
}


@pytest.fixture(scope="module", params=ARCHITECTURES)
def measured(request):
    """An architecture, its output, and its taps by (arithmetic, layer name); batches of one without touching memory."""
    found = ARCHITECTURES[request.param]
    taps = {}
    with torch.device("meta"):
        network = build(found.name).eval()

        def count(name):
            def hook(module, inputs, output):
                filters = module.adder if isinstance(module, ADDERS) else module.weight
                taps[isinstance(module, ADDERS), name] = output.numel() * filters[0].numel()

            return hook

        for name, module in network.named_modules():
            if isinstance(module, ADDERS + MULTIPLIERS):
                module.register_forward_hook(count(name))
        output = network(torch.empty(1, *found.input_shape))
    return found, output, taps


def test_taps(measured):
    found, output, taps = measured
    assert sum(taps.values()) == TAPS[found.name.rsplit("-", 1)[0]]
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
    with pytest.raises(NetworkError, match="'alexnet' is not known; known: lenet5-adder, lenet5-euclidean, lenet5-conv"):
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
