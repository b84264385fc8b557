"""Claims about numbers of operations and about what an adder layer computes."""

from __future__ import annotations

from math import inf, pi

import numpy as np
from claim import Claim, Measured
from runs import accuracy_points, simulated, trace

TABLE_1 = "Chen et al., CVPR 2020 (arXiv 1912.13200), table 1, as figures/table1.png of huawei-noah/AdderNet at 2fb8aad has it"
TABLE_2 = "the same, table 2, figures/table2.png"
NOTE = "a review note of the paper, written by a reader (Xander Cai)"
SIDE = 5_000  # filters and windows: each sees all of the other, so that the sample is of these and not of their pairs


def multiplications(network: str, unit: float) -> Measured:
    """Multiplications in the paper's convention, which bills taps alone."""
    found = trace(network, convention="paper").operations.total("mul")
    return Measured(found / unit, found / unit, f"{found:,} multiplications")


def batch_norm_share() -> Measured:
    """Multiplications that are not taps, of those that the multiplying twin has in its taps, in per cent."""
    adder, taps = trace("resnet20-adder"), trace("resnet20-conv", convention="paper").operations.total("mul")
    own = trace("resnet20-adder", convention="paper").operations.total("mul")
    share = 100 * (adder.operations.total("mul") - own) / taps
    return Measured(share, share, f"{adder.operations.total('mul') - own:,} of {taps:,}")


def variance_of_adder_sums() -> Measured:
    """Var Y over the formula, for independent normal inputs and weights, summed by the layer that networks train with."""
    import torch

    from addersim.nn import AdderLinear

    taps, draws, found = 16, np.random.default_rng(1), []
    layer = AdderLinear(taps, SIDE, bias=False)
    for spread in (0.1, 1.0, 3.0):
        weights, inputs = draws.normal(0, spread, (SIDE, taps)), draws.normal(0, 1, (SIDE, taps))
        with torch.no_grad():
            sums = _sums(layer, torch.from_numpy(weights).float(), torch.from_numpy(inputs).float())
        found.append(float(sums.var()) / (taps * (1 + spread**2) * (1 - 2 / pi)))
    return Measured.of(found, "weights 0.1, 1 and 3 times as widely spread as inputs")


def largest_sum() -> Measured:
    """The largest sum of any adder layer of the bundled LeNet-5, in steps of its scale."""
    seen = [layer.observed.maximum for layer in simulated("lenet5-adder", 8).trace.layers if layer.work]
    return Measured.of([float(one) for one in seen], "its five layers, 2,000 images")


def weight_variance_ratio() -> Measured:
    """Variance of an adder layer's weights over that of the same layer of its multiplying twin, both as bundled."""
    from addersim import load_network

    adder, conv = (
        [float(np.var(layer.weights)) for layer in load_network(name).layers if hasattr(layer, "weights")]
        for name in ("lenet5-adder", "lenet5-conv")
    )
    return Measured.of([one / other for one, other in zip(adder, conv, strict=True)], "layer by layer, LeNet-5-BN as bundled")


def clamp_difference() -> Measured:
    """The largest deviation between a sum and that of clipped weights plus the constant, on whole numbers."""
    import torch

    from addersim.nn import AdderLinear

    taps, filters, limit = 144, 64, 255
    layer = AdderLinear(taps, filters, bias=False)
    torch.manual_seed(2)
    inputs = torch.randint(0, limit + 1, (500, taps)).float()
    with torch.no_grad():
        weights = torch.randint(-2000, 2000, (filters, taps)).float()
        clipped = weights.clamp(0, limit)
        whole, inside = (_sums(layer, one, inputs) for one in (weights, clipped))
        apart = (whole - (inside - (weights - clipped).abs().sum(1))).abs().max()
    return Measured(
        float(apart), float(apart), f"{500 * filters:,} sums of {taps} taps, weights of -2000..1999, inputs of 0..255"
    )


def _sums(layer, weights, inputs):
    layer.adder.copy_(weights)
    return layer(inputs)


def loss_without_clipping() -> Measured:
    """Points that the adder LeNet-5 loses where its weights take their own range."""
    found = {bits: accuracy_points(simulated("lenet5-adder", bits, clip_weights=False)) for bits in (8, 6)}
    kept = accuracy_points(simulated("lenet5-adder", 6))
    return Measured(found[6], found[6], f"at 8 bits {found[8]:.1f} points; at 6 bits with the exact clipping {kept:.1f}")


CLAIMS = (
    Claim(
        "resnet32-multiplications",
        "AdderNet",
        "ResNet-32 has 69.12 M multiplications",
        TABLE_1,
        "Every tap, the first convolution and the classifier included, batch norm not.",
        published=(69.12, 69.12),
        unit="M",
        command="addersim count resnet32-conv --convention paper",
        measure=lambda: multiplications("resnet32-conv", 1e6),
        tolerance=0.005 / 69.12,
    ),
    Claim(
        "resnet18-multiplications",
        "AdderNet",
        "ResNet-18 has 1.8 G multiplications",
        TABLE_2,
        "Every tap, at 224 x 224.",
        published=(1.8, 1.8),
        unit="G",
        command="addersim count resnet18-conv --convention paper",
        measure=lambda: multiplications("resnet18-conv", 1e9),
        tolerance=0.05 / 1.8,
    ),
    Claim(
        "resnet50-multiplications",
        "AdderNet",
        "ResNet-50 has 3.9 G multiplications",
        TABLE_2,
        "With the stride in the 1 x 1 convolution (v1). The released network has it in the 3 x 3 and 4.1 G: it is not the one "
        "that was counted.",
        published=(3.9, 3.9),
        unit="G",
        command="addersim count resnet50-v1-conv --convention paper",
        measure=lambda: multiplications("resnet50-v1-conv", 1e9),
        tolerance=0.05 / 3.9,
    ),
    Claim(
        "resnet20-multiplications",
        "AdderNet",
        "ResNet-20 has 41.17 M multiplications",
        TABLE_1,
        "The released network has 0.87 % fewer taps, and no stated way of counting gives the printed number.",
        published=(41.17, 41.17),
        unit="M",
        command="addersim count resnet20-conv --convention paper",
        measure=lambda: multiplications("resnet20-conv", 1e6),
        tolerance=0.005 / 41.17,
    ),
    Claim(
        "adder-resnet20-multiplies-nothing",
        "AdderNet",
        "The adder ResNet-20 has no multiplications",
        TABLE_1,
        "The released network multiplies in its first convolution and its classifier; batch norm, which multiplies too, "
        "is not even counted here.",
        published=(0.0, 0.0),
        unit="multiplications",
        command="addersim count resnet20-adder --convention paper",
        measure=lambda: multiplications("resnet20-adder", 1.0),
    ),
    Claim(
        "batch-norm-is-negligible",
        "AdderNet",
        "Multiplications of batch norm are negligible beside those of a convolution (here: under 1 %)",
        f"{NOTE}, section 2.5",
        "In number. The limit of 1 % is ours, for the note has none.",
        published=(0.0, 1.0),
        unit="%",
        command="addersim count resnet20-adder",
        measure=batch_norm_share,
    ),
    Claim(
        "variance-of-adder-sums",
        "AdderNet",
        "Sums of an adder layer have the variance (1 - 2 / pi) d^2 c (Var X + Var F)",
        f"{NOTE}, equation 8",
        "Independent normal inputs and weights, as the derivation takes them; our value is the ratio to the formula.",
        published=(1.0, 1.0),
        unit="of the formula",
        measure=variance_of_adder_sums,
        tolerance=0.03,
    ),
    Claim(
        "sums-are-negative",
        "AdderNet",
        "Sums of an adder layer are never above zero",
        f"{NOTE}, section 2.3",
        "They follow from the definition; here the largest of a trained network, which batch norm has to bring back.",
        published=(-inf, 0.0),
        unit="steps",
        command="addersim simulate lenet5-adder",
        measure=largest_sum,
    ),
    Claim(
        "weights-vary-widely",
        "Stable and Robust AdderNets",
        "Variances of an adder network's weights are enormous (here: more than 10 times its multiplying twin's)",
        "NeurIPS 2021, abstract",
        "The limit of 10 is ours, for the abstract has none. Activations are not compared: batch norm scales both.",
        published=(10.0, inf),
        unit="x",
        command="addersim simulate lenet5-adder",
        measure=weight_variance_ratio,
    ),
    Claim(
        "clamp-identity",
        "AdderNet 2.0",
        "Clipping weights to the range of the inputs changes sums by a constant alone, exactly",
        "DAC 2024, abstract, and the README of ckeegan12/Resnet20: sum |X - W| = sum |X - clip(W)| + sum |W - clip(W)|",
        "On whole numbers, so that nothing rounds.",
        published=(0.0, 0.0),
        unit="steps apart",
        command="addersim simulate lenet5-adder --bits 6",
        measure=clamp_difference,
    ),
    Claim(
        "ordinary-quantisers-fail",
        "AdderNet, a user",
        "Adder weights span too much for ordinary quantisers (here: more than 10 points lost at 6 bits)",
        "huawei-noah/AdderNet, issue 55",
        "The limit of 10 points is ours. The range of the weights is one scale's, shared with the activations.",
        published=(10.0, 100.0),
        unit="points",
        command="addersim simulate lenet5-adder --bits 6 --no-clip-weights",
        measure=loss_without_clipping,
    ),
)
