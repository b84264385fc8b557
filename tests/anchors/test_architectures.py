"""Parameters and multiply-accumulates of the architectures against the papers and other implementations, 224x224 and 32x32."""

import pytest

torch = pytest.importorskip("torch", reason="architectures are torch networks")

from addersim import count, quantize  # noqa: E402
from addersim.frontends.torch.lower import lower  # noqa: E402
from addersim.train.models import ARCHITECTURES, build  # noqa: E402
from tests.taps import TAPS  # noqa: E402

TORCHVISION = "torchvision's table of weights, num_params"
KERAS = "the summary of keras.applications.MobileNet: trainable parameters"
TIMM = "timm 1.0.31, ghostnet_100, whose parameters have our shapes one by one"


@pytest.mark.parametrize(
    ("family", "parameters", "source"),
    [
        ("mobilenetv1", 4_231_976, KERAS),
        ("mobilenetv2", 3_504_872, TORCHVISION),
        ("mobilenetv3-large", 5_483_032, TORCHVISION),
        ("mobilenetv3-small", 2_542_856, TORCHVISION),
        ("shufflenetv2-x0.5", 1_366_792, TORCHVISION),
        ("shufflenetv2-x1.0", 2_278_604, TORCHVISION),
        ("squeezenet1.0", 1_248_424, TORCHVISION),
        ("squeezenet1.1", 1_235_496, TORCHVISION),
        ("ghostnet", 5_182_508, TIMM),
        ("densenet121", 7_978_856, TORCHVISION),
    ],
)
def test_parameters(family, parameters, source):
    with torch.device("meta"):
        network = build(f"{family}-conv")
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters, source


def test_keras_counts_running_statistics_too():
    """4,253,864 in all: each batch norm's mean and variance are 21,888 more."""
    with torch.device("meta"):
        network = build("mobilenetv1-conv")
    statistics = sum(buffer.numel() for name, buffer in network.named_buffers() if name.endswith(("mean", "var")))
    assert statistics == 21_888 == 4_253_864 - 4_231_976


@pytest.mark.parametrize(
    ("family", "published", "unit", "source"),
    [
        ("mobilenetv1", 569, 1e6, "arXiv 1704.04861, table 6"),
        ("mobilenetv2", 0.30, 1e9, "torchvision; arXiv 1801.04381, table 4, prints 300M"),
        ("mobilenetv3-large", 217, 1e6, "keras.applications, table of MobileNetV3"),
        ("mobilenetv3-small", 0.057, 1e9, "torchvision"),
        ("shufflenetv2-x0.5", 0.04, 1e9, "torchvision"),
        ("shufflenetv2-x1.0", 0.145, 1e9, "torchvision"),
        ("squeezenet1.0", 0.819, 1e9, "torchvision"),
        ("squeezenet1.1", 0.349, 1e9, "torchvision"),
        ("densenet121", 2.834, 1e9, "torchvision"),
    ],
)
def test_multiply_accumulates_to_the_digits_that_are_printed(family, published, unit, source):
    """Taps of convolutions and linear layers, gates included; batch norm, activations and pooling are not counted."""
    digits = len(str(published).partition(".")[2])
    assert round(TAPS[family] / unit, digits) == published, source


@pytest.mark.parametrize("name", ["mobilenetv2-conv", "mobilenetv1-adder"])
def test_the_same_from_count(name):
    network = lower(build(name, seed=0), ARCHITECTURES[name].input_shape, name=name, check=False)
    assert count(quantize(network, None)).taps == TAPS[name.rpartition("-")[0]]
