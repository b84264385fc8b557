"""The specification of the quantiser's rules: one row a rule and a situation, every number worked out by hand."""

import numpy as np
import pytest

from addersim import Quantization, quantize
from addersim.arithmetic.codecs import CODECS
from addersim.arithmetic.fixed import FixedFormat
from addersim.layers import Add, Affine, AveragePool, MaxPool, Move, Relu, Window
from addersim.network import Network
from addersim.quantization.bias_correction import corrected
from addersim.quantization.calibration import Member, Sample, channel_scales, choose_scale
from addersim.quantization.output_errors import refine_scale
from addersim.quantization.rules import LayerBits
from addersim.quantization.value_formats import Wiring, choose_formats


def sample(*values, minimum=None, maximum=None):
    kept = np.array(values, np.float32)
    ends = (min(values) if minimum is None else minimum, max(values) if maximum is None else maximum)
    return Sample(*map(float, ends), kept, np.zeros(1), np.ones(1))


def often(number, common, rare):
    return (common,) * (number - 1) + (rare,)


# Codes of 3 bits: -4..3 signed, 0..7 unsigned; of 2 bits unsigned 0..3.
SCALES = [
    # rule, values, bits, signed, scale
    ("min-max", (-4, 6), 3, True, 2.0),  # 6 / 3
    ("min-max", (-9, 3), 3, True, 2.25),  # -9 / -4
    ("min-max", (-9, 6), 2, False, 2.0),  # what lies below zero has no code
    ("min-max", (0, 0), 8, True, 1.0),  # nothing but zeros
    # eleven values: the 10th and 90th percentile are the second and the last but one
    ("percentile", tuple(range(-8, 3)), 3, True, 1.75),  # -7 / -4
    ("percentile", tuple(range(-2, 9)), 3, True, 7 / 3),
    ("percentile", tuple(range(-2, 9)), 3, False, 1.0),  # 7 / 7
    ("mse", (1, 2, 3), 2, False, 1.0),  # exact, and no smaller scale is
    # 3 is exact at two steps of 1.5, a rare 6 then becomes 4.5; at a scale of 2, which holds it, every 3 becomes 4
    ("mse", often(1000, 3, 6), 2, False, 1.5),
    ("output", often(1000, 3, 6), 2, False, 1.5),
    # a scale of 20 would hold 60; of its twentieth, the smallest share that is tried, 1 is exact
    ("mse", often(10_000, 1, 60), 2, False, 1.0),
    ("mse", (0, 0), 2, False, 1.0),
]


@pytest.mark.parametrize("row", SCALES, ids=lambda row: f"{row[0]} of {len(row[1])} in {row[2]} bits")
def test_scale_choice(row):
    rule, values, bits, signed, scale = row
    assert choose_scale([Member(sample(*values), bits, signed)], rule, 90.0) == pytest.approx(scale)


def test_values_that_share_a_scale_get_the_one_that_holds_all():
    small, large = Member(sample(-1, 1), 3, True), Member(sample(0, 14), 3, False)
    assert choose_scale([small, large], "min-max") == choose_scale([large, small], "min-max") == 2.0  # 14 / 7
    assert choose_scale([small, large], "percentile", 100.0) == 2.0


def test_extremes_count_where_everything_is_kept_and_samples_elsewhere():
    seen = Member(sample(0, 3, maximum=6), 2, False)
    assert choose_scale([seen], "min-max") == 2.0
    assert choose_scale([seen], "percentile", 100.0) == 1.0


CHANNELS = [
    # rule, per channel, filters, scales in 3 bits (largest code 3)
    ("min-max", True, ((3, -1.5), (6, 0), (-4.5, 1)), (1.0, 2.0, 1.5)),
    ("min-max", False, ((3, -1.5), (6, 0), (-4.5, 1)), (2.0, 2.0, 2.0)),
    ("percentile", True, ((3, -1.5), (6, 0), (-4.5, 1)), (1.0, 2.0, 1.5)),
    ("min-max", True, ((0, 0), (6, 0)), (1.0, 2.0)),
    ("mse", True, (often(1000, 3, 6), often(1000, 0, 3)), (1.5, 1.0)),
    ("output", True, (often(1000, 3, 6), often(1000, 0, 3)), (1.5, 1.0)),
]


@pytest.mark.parametrize("row", CHANNELS, ids=lambda row: f"{row[0]}, {'per' if row[1] else 'no'} channel, {len(row[2])}")
def test_scales_of_filters(row):
    rule, per_channel, filters, scales = row
    found = channel_scales(np.array(filters, np.float32)[:, None, None, :], CODECS["uniform"], 3, rule, per_channel)
    assert found.tolist() == pytest.approx(list(scales))


def window(name, source, arithmetic="mac", weight=1.0, filters=1):
    return Window(name=name, inputs=(source,), arithmetic=arithmetic, weights=np.full((filters, 1, 1, 1), weight, np.float32))


def pool(name, source):
    return MaxPool(name=name, inputs=(source,), kernel=(2, 2), stride=(2, 2))


def affine(name, source, multiplier=1.0):
    return Affine(name=name, inputs=(source,), multiplier=np.atleast_1d(np.array(multiplier, np.float64)), addend=np.zeros(1))


def network(*layers, mean=0.0, channels=1):
    return Network(name="n", input_shape=(channels, 4, 4), mean=(mean,) * channels, std=(1.0,) * channels, layers=layers)


def formats(net, samples=None, other=(0.0, 255.0), **rules):
    how = Quantization(calibration="min-max", **rules)
    names = ("input", *(layer.name for layer in net.layers))
    found = {name: (samples or {}).get(name, sample(*other)) for name in names}
    return choose_formats(net, Wiring.of(net), how, found, {})


RESIDUAL = network(
    window("stem", "input"),
    affine("stem_norm", "stem"),
    Relu(name="r", inputs=("stem_norm",)),
    window("branch", "r"),
    affine("branch_norm", "branch"),
    Add(name="s", inputs=("r", "branch_norm")),
    Relu(name="t", inputs=("s",)),
    pool("m", "t"),
    window("last", "m"),
    affine("last_norm", "last"),
)
BITS = [
    # rules, width of values by name
    ({"activation_bits": 6}, {"input": 6, "r": 6, "t": 6, "m": 6, "last_norm": 6}),
    # the widest that any reader of the group asks for: branch reads r, last reads m
    (
        {"layers": {"branch": LayerBits(activation_bits=5), "last": LayerBits(activation_bits=10)}},
        {"input": 8, "r": 10, "m": 10},
    ),
    (
        {"layers": {"branch": LayerBits(activation_bits=10), "last": LayerBits(activation_bits=5)}},
        {"input": 8, "r": 10, "m": 10},
    ),
    ({"layers": {"branch": LayerBits(activation_bits=4), "last": LayerBits(activation_bits=3)}}, {"r": 4, "t": 4, "m": 4}),
    ({"layers": {"stem": LayerBits(activation_bits=3)}}, {"input": 3, "r": 8}),
    ({"layers": {"stem": LayerBits(weight_bits=3)}}, {"input": 8, "r": 8}),
    # a signed value among unsigned ones: one bit more, up to 16
    ({"activation_bits": 6}, {"branch_norm": 7}),
    ({"activation_bits": 16}, {"branch_norm": 16, "r": 16}),
]


@pytest.mark.parametrize(("rules", "widths"), BITS)
def test_widths_of_groups(rules, widths):
    found = formats(RESIDUAL, **rules)
    assert {name: found[name].bits for name in widths} == widths


def test_a_group_has_one_scale():
    found = formats(RESIDUAL, {"r": sample(0, 51), "branch_norm": sample(-51, 51), "m": sample(0, 510)})
    assert {found[name].scale for name in ("stem_norm", "r", "s", "t", "m", "branch_norm")} == {2.0}  # 510 / 255
    assert found["input"].scale == 1.0  # 255 / 255


def test_scores_have_a_width_of_their_own():
    scores = network(
        AveragePool(name="g", inputs=("input",), kernel=None),
        Move(name="flat", inputs=("g",)),
        window("w", "flat"),
        affine("a", "w"),
    )
    found = formats(scores, activation_bits=6, output_bits=12)
    assert (found["g"].bits, found["flat"].bits, found["a"].bits) == (6, 6, 12)
    pictures = network(window("w", "input"), affine("a", "w"))  # an image comes out: no scores
    assert formats(pictures, activation_bits=6, output_bits=12)["a"].bits == 6


SIGNS = [
    # network, unsigned values, signed values
    (RESIDUAL, {"input", "stem_norm", "r", "s", "t", "m"}, {"branch_norm", "last_norm"}),
    (network(window("w", "input"), affine("a", "w"), mean=0.1), set(), {"input", "a"}),
    (network(window("w", "input"), affine("a", "w"), mean=-0.1), {"input"}, {"a"}),
    (network(pool("m", "input")), {"input", "m"}, set()),
    (network(AveragePool(name="g", inputs=("input",), kernel=None), mean=0.1), set(), {"input", "g"}),
    (network(AveragePool(name="g", inputs=("input",), kernel=None)), {"input", "g"}, set()),
    # of two values that both have none, and of one that has
    (network(Add(name="s", inputs=("input", "input"))), {"input", "s"}, set()),
    # read by ReLU and by another: its negatives are heard
    (network(affine("a", "input"), Relu(name="r", inputs=("a",)), Add(name="s", inputs=("a", "r"))), {"r"}, {"a", "s"}),
    # a layer that passes codes on stands between a value and its ReLU: its input's negatives are not heard either
    (network(affine("a", "input"), pool("p", "a"), Relu(name="r", inputs=("p",))), {"a", "p", "r"}, set()),
    # it clamps nothing itself: where its input's negatives are heard elsewhere, it holds them too
    (
        network(affine("a", "input"), pool("p", "a"), Relu(name="r", inputs=("p",)), window("w", "a"), affine("b", "w")),
        {"r"},
        {"a", "p", "b"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("net", "unsigned", "signed"), SIGNS)
def test_signs(net, unsigned, signed):
    found = formats(net)
    assert {name for name in unsigned | signed if not found[name].signed} == unsigned


def test_a_value_whose_negatives_nobody_hears_is_compared_with_no_float_value():
    net = network(affine("a", "input"), Relu(name="r", inputs=("a",)), affine("b", "r"))
    program = quantize(net, np.ones((2, 1, 4, 4), np.float32), Quantization())
    assert {layer.name: layer.twin for layer in program.layers} == {"a": None, "r": "r", "b": "b"}


def test_one_channel_with_negatives_makes_an_image_signed():
    net = Network(
        name="n",
        input_shape=(2, 4, 4),
        mean=(0.0, 0.1),
        std=(1.0, 1.0),
        layers=(AveragePool(name="g", inputs=("input",), kernel=None),),
    )
    assert formats(net)["input"].signed


def test_what_only_relu_reads_does_not_choose_the_scale():
    net = network(affine("a", "input"), Relu(name="r", inputs=("a",)), window("w", "r"), affine("b", "w"))
    assert formats(net, {"a": sample(-5100, 5100), "r": sample(0, 510)})["r"].scale == 2.0
    lone = network(affine("a", "input"), Relu(name="r", inputs=("a",)))
    assert formats(lone, {"a": sample(0, 255), "r": sample(0, 510)})["a"].scale == 2.0


TINY = {"a": sample(-0.001, 0.001)}
PORTS = [
    # arithmetic, weights, the affine's multiplier, rules, scale of the affine's output
    # one step of the sum is 1 (both operands at scale 1): 1016 steps of the output at most 127, the port of 8 bits
    ("l1", 1.0, 1016.0, {"correction": "none"}, 8.0),
    ("l1", 1.0, 1016.0, {"correction": "mean"}, 8.0),
    ("l1", 1.0, -1016.0, {"correction": "none"}, 8.0),
    # the spread may grow twofold when it is restored: as much head-room
    ("l1", 1.0, 1016.0, {"correction": "mean-variance"}, 16.0),
    # weights of 10 bits lie on a grid four times finer, and so do sums; those of 4 bits on a coarser one
    ("l1", 1.0, 1016.0, {"correction": "none", "weight_bits": 10}, 2.0),
    ("l1", 1.0, 1016.0, {"correction": "none", "weight_bits": 4}, 8.0),
    ("l2", 1.0, 1016.0, {"correction": "none", "weight_bits": 10}, 0.5),
    # products: the largest weight of 2.54 is 127 steps of 0.02
    ("mac", 2.54, 1016.0, {"correction": "none"}, 0.16),
    ("mac", 2.54, 1016.0, {"correction": "mean-variance"}, 0.32),
    ("mac", 2.54, 1016.0, {"correction": "none", "power_of_two": True}, 0.25),
]


@pytest.mark.parametrize("row", PORTS, ids=lambda row: f"{row[0]}, {row[3]}")
def test_a_step_of_a_sum_fits_the_multipliers_port(row):
    arithmetic, weight, multiplier, rules, scale = row
    net = network(window("w", "input", arithmetic, weight), affine("a", "w", multiplier))
    assert formats(net, TINY, **{"multiplier_bits": 8, **rules})["a"].scale == pytest.approx(scale)


def test_the_filter_that_needs_most_decides():
    net = network(window("w", "input", "l1", 1.0, filters=2), Affine(
        name="a", inputs=("w",), multiplier=np.array([10.0, 1016.0]), addend=np.zeros(2)))  # fmt: skip
    assert formats(net, TINY, multiplier_bits=8, correction="none")["a"].scale == 8.0


UNCLIPPED = [
    # arithmetic, weights, weight bits, activation bits, clipped, scale of the input
    ("l1", 14.0, 4, 8, False, 0.125),  # 14 is 7 steps of 2; a step of 4 bits is 2**4 of 8 bits
    ("l1", -14.0, 4, 8, False, 0.125),
    ("l1", 254.0, 8, 4, False, 32.0),  # 127 steps of 2; a step of 8 bits is 1 / 16 of 4 bits
    ("l1", 127.0, 8, 8, False, 1.0),
    ("l1", 14.0, 4, 8, True, 0.001),
    ("l2", 14.0, 4, 8, True, 0.125),  # cannot be clipped exactly, and never is
    ("mac", 14.0, 4, 8, False, 0.001),
]


@pytest.mark.parametrize("row", UNCLIPPED, ids=str)
def test_weights_that_are_not_clipped_must_fit_at_their_inputs_scale(row):
    arithmetic, weight, weight_bits, activation_bits, clipped, scale = row
    net = network(window("w", "input", arithmetic, weight), affine("a", "w"))
    pixels = sample(0, 0.001 * (2**activation_bits - 1))
    rules = {"weight_bits": weight_bits, "activation_bits": activation_bits, "clip_weights": clipped}
    assert formats(net, {"input": pixels}, **rules)["input"].scale == pytest.approx(scale)


@pytest.mark.parametrize(("largest", "scale"), [(2.25 * 255, 4.0), (2.0 * 255, 2.0), (0.3 * 255, 0.5)])
def test_powers_of_two_round_scales_up(largest, scale):
    found = formats(network(window("w", "input"), affine("a", "w")), {"input": sample(0, largest)}, power_of_two=True)
    assert found["input"].scale == scale


@pytest.mark.parametrize(("weights", "codes"), [((4.5, 1.0), [2, 0]), ((3.0, 1.0), [3, 1]), ((-4.5, 3.0), [-2, 2])])
def test_powers_of_two_round_scales_of_weights_up(weights, codes):
    """3 bits, largest code 3: 4.5 asks for 1.5 and gets 2, which makes it 2.25; 3 asks for 1."""
    filters = np.array(weights, np.float32).reshape(1, 2, 1, 1)
    net = network(Window(name="w", inputs=("input",), arithmetic="mac", weights=filters), channels=2)
    rules = Quantization(weight_bits=3, power_of_two=True, calibration="min-max", correction="none")
    program = quantize(net, np.full((2, 2, 4, 4), 200, np.uint8), rules)
    assert program.layers[0].weights.reshape(-1).tolist() == codes


class Heard:
    """A reader whose error is least at one scale of its input."""

    def __init__(self, best, depth=1.0):
        self.best, self.depth = best, depth

    def error(self, fixed, how):
        return 10.0 + self.depth * abs(np.log2(fixed.scale / self.best))


REFINED = [
    # best scale of a reader, depth of its error, chosen scale; the search starts at 8
    (8.0, 1.0, 8.0),
    (16.0, 1.0, 16.0),
    (4.0, 1.0, 4.0),
    (1000.0, 1.0, 16.0),  # factors of 1/2 to 2
    (0.001, 1.0, 4.0),
    (8.0 * 2**0.375, 1.0, 8.0 * 2**0.375),  # in steps of an eighth of a power of two
    (16.0, 0.1, 8.0),  # 1 % of 10.1 is too small a gain
    (16.0, 0.3, 16.0),  # 3 % is not
]


@pytest.mark.parametrize("row", REFINED, ids=str)
def test_the_range_in_which_scales_are_refined(row):
    best, depth, chosen = row
    found = refine_scale(8.0, {"x": FixedFormat(8, False)}, {"x": [Heard(best, depth)]}, Quantization())
    assert found == pytest.approx(chosen)


def test_a_scale_that_no_window_hears_stays():
    assert refine_scale(8.0, {"x": FixedFormat(8)}, {"y": [Heard(16.0)]}, Quantization()) == 8.0


CORRECTED = [
    # correction, spread of the sums, wanted mean and spread, multiplier and addend of an affine of 3 x + 5 on sums of mean 10
    ("mean", 2.0, 7.0, 9.0, 3.0, 7.0 - 30.0),
    ("mean-variance", 2.0, 7.0, 9.0, 4.5, 7.0 - 45.0),  # 3 x 2 is to be 9: half as much again
    ("mean-variance", 2.0, 7.0, 60.0, 6.0, 7.0 - 60.0),  # twice at most
    ("mean-variance", 2.0, 7.0, 0.1, 1.5, 7.0 - 15.0),  # half at least
    ("mean-variance", 0.0, 7.0, 9.0, 3.0, 7.0 - 30.0),  # nothing to spread
]


@pytest.mark.parametrize("row", CORRECTED, ids=str)
def test_correction(row):
    correction, spread, mean, std, multiplier, addend = row
    given = Affine(name="a", inputs=("w",), multiplier=np.array([3.0]), addend=np.array([5.0]))
    sums = np.array([[10.0 - spread], [10.0 + spread]])
    found = corrected(given, sums, np.array([mean]), np.array([std]), correction)
    assert found.multiplier.tolist() == pytest.approx([multiplier])
    assert found.addend.tolist() == pytest.approx([addend])
