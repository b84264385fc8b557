"""`prove` on whole networks: every bundled one, every datapath; the kernels confirm each witness and overflow nowhere else."""

import json

import numpy as np
import pytest
from msgspec.structs import replace

import addersim
from addersim import Accumulator, FixedFormat, kernels
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.datapaths import DATAPATHS, datapaths_of
from addersim.errors import QuantizationError
from addersim.kernels import reference
from addersim.layers import IntegerClip, IntegerConcat, IntegerRelu, IntegerWindow
from addersim.model_zoo import bundled_networks
from addersim.program import Program
from tests.unit.multipliers import arbitrary, multiplier
from tests.unit.networks import branches, images, residual, uneven

NETWORKS = {
    **{f"residual-{name}": (residual(arithmetic=name), name) for name in ARITHMETICS},
    **{f"uneven-{name}": (uneven(arithmetic=name), name) for name in ("l1", "mac")},
    "branches": (branches(), "mac"),
}


def windows_of(program):
    return [layer for layer in program.layers if isinstance(layer, IntegerWindow)]


def checked(program, certificate):
    """What holds of any certificate: the kernels agree, and no filter or layer needs more than is said."""
    layers = windows_of(program)
    assert [one.name for one in certificate.layers] == [one.name for one in layers]
    for layer, found in zip(layers, certificate.layers, strict=True):
        assert found.confirmed
        assert found.witness.confirmed(layer, found.bits, reference)
        assert found.bits == found.filter_bits.max() == found.filter_bits[found.witness.filter] <= found.bits_bound
        assert found.witness.sum in (found.minimum, found.maximum)
    return certificate


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("name", bundled_networks())
def test_every_bundled_network(name, bits):
    network = addersim.load_network(name)
    program = addersim.quantize(network, images(network, 8), addersim.Quantization(weight_bits=bits, activation_bits=bits))
    checked(program, addersim.prove(program))
    checked(program, addersim.prove(program, reachable=True))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_arithmetic_and_its_datapaths(name):
    network, arithmetic = NETWORKS[name]
    program = addersim.quantize(network, images(network))
    found = checked(program, addersim.prove(program)).to_dict()["layers"]
    for circuit in datapaths_of(arithmetic):
        layers = [
            replace(one, datapath=circuit.name) if isinstance(one, IntegerWindow) and one.datapath in same(circuit) else one
            for one in program.layers
        ]
        other = addersim.prove(replace(program, layers=tuple(layers))).to_dict()["layers"]
        assert [one["bits"] for one in other] == [one["bits"] for one in found]


def same(circuit):
    return {one.name for one in datapaths_of(circuit.arithmetic.name)}


@pytest.mark.parametrize("table", [multiplier(6), multiplier(6, signed=True), arbitrary(0), arbitrary(1, signed=True)])
def test_every_table_of_products(table):
    network = residual(arithmetic="mac")
    rules = addersim.Quantization(activation_bits=7)
    program = addersim.quantize(network, images(network), rules).with_multiplier(table)
    checked(program, addersim.prove(program))


def test_all_datapaths_were_tried():
    tables = {"table", "table-magnitude"}
    assert {one.name for name in ARITHMETICS for one in datapaths_of(name)} | tables == set(DATAPATHS)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_image_leaves_a_reachable_range(name):
    """Noise, and images of the two ends alone, which go further than photographs do."""
    network, _ = NETWORKS[name]
    program = addersim.quantize(network, images(network))
    exact, bound = addersim.prove(program), checked(program, addersim.prove(program, reachable=True))
    random = np.random.default_rng(0)
    wild = random.choice(np.array([0, 255], np.uint8), (400, *network.input_shape))
    seen = {one.name: one.observed for one in addersim.simulate(program, wild).trace.layers}
    assert (exact.claim, bound.claim) == ("exact", "bound")
    for one, other in zip(exact.layers, bound.layers, strict=True):
        assert one.minimum <= other.minimum <= min(0, seen[one.name].minimum)
        assert max(0, seen[one.name].maximum) <= other.maximum <= one.maximum


def test_reachable_ranges_are_narrower_somewhere():
    network = addersim.load_network("resnet20-conv")
    program = addersim.quantize(network, images(network, 8))
    exact, bound = addersim.prove(program), addersim.prove(program, reachable=True)
    assert sum(one.bits for one in bound.layers) < sum(one.bits for one in exact.layers)


@pytest.mark.parametrize(
    "rules", [{"overflow": "wrap"}, {"accumulator": Accumulator(10, "wrap")}, {"accumulator": Accumulator(10, "saturate")}]
)
@pytest.mark.parametrize("arithmetic", ["l1", "mac"])
def test_what_wraps_may_give_any_code(arithmetic, rules):
    network = residual(arithmetic=arithmetic)
    program = addersim.quantize(network, images(network), addersim.Quantization(**rules))
    certificate = addersim.prove(program, reachable=True)
    wild = np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (200, *network.input_shape))
    trace = addersim.simulate(program, wild).trace
    seen = {one.name: one.observed for one in trace.layers}
    for one in certificate.layers:
        assert one.minimum <= seen[one.name].minimum <= seen[one.name].maximum <= one.maximum
    narrow = [one.name for one in certificate.layers if one.can_overflow]
    assert {
        name for name, found in seen.items() if name in {one.name for one in certificate.layers} and found.overflowed
    } <= set(narrow)
    assert bool(narrow) == ("accumulator" in rules)


def window(name, source, form, weights, **moves):
    weights = np.asarray(weights, np.int8)
    return IntegerWindow(
        name=name, inputs=(source,), twin=None, datapath="mac", weights=weights, input_format=form,
        weight_format=FixedFormat(8), accumulator=Accumulator(), **moves,
    )  # fmt: skip


def program_of(form, *layers, shape=(1, 2, 2)):
    return Program(name="made", input_shape=shape, mean=(0.0,), std=(1.0,), input=form, rounding="half-even", layers=layers)


def test_by_hand():
    """Weights 3, -5 and 7 of one row over unsigned codes of 4 bits: the sum is least after two taps, greatest after three."""
    layer = window("row", "input", FixedFormat(4, False), [[[[3], [-5], [7]]]], padding=(0, 1))
    (found,) = addersim.prove(program_of(layer.input_format, layer, shape=(1, 1, 4))).layers
    assert (found.minimum, found.maximum, found.bits, found.bits_bound) == (-75, 150, 9, 14)
    assert (found.witness.filter, found.witness.end, found.witness.tap, found.witness.sum) == (0, "maximum", (0, 2, 0), 150)
    assert found.witness.codes.tolist() == [[[15], [0], [15]]]
    assert found.input_codes == (0, 15)


def test_zero_points_are_taken_off_both_operands_and_stand_in_the_padding():
    """Codes -128..127 with 3 for zero stand for -131..124; weights 3, -5 and 7 with 2 for zero are 1, -7 and 5."""
    form = FixedFormat(8, scale=1.0, zero_point=3)
    layer = window("row", "input", form, [[[[3], [-5], [7]]]], padding=(0, 1))
    layer = replace(layer, weight_zero_points=np.array([2], np.int32))
    (found,) = addersim.prove(program_of(form, layer, shape=(1, 1, 4))).layers
    low, high = -128 - 3, 127 - 3
    assert (found.minimum, found.maximum) == (low + -7 * high + 5 * low, high + -7 * low + 5 * high)
    assert found.confirmed
    assert found.witness.confirmed(layer, found.bits, reference)


@pytest.mark.parametrize("arithmetic", ["mac", "l1"])
def test_programs_with_zero_points(arithmetic):
    network = residual(arithmetic=arithmetic)
    program = addersim.quantize(network, images(network), addersim.Quantization(zero_points=True))
    assert any(layer.input_format.zero_point for layer in windows_of(program))
    checked(program, addersim.prove(program))
    checked(program, addersim.prove(program, reachable=True))


def test_a_relu_with_a_bound_and_a_clip_narrow_the_box_also_behind_a_join():
    form, signed = FixedFormat(4, False), FixedFormat(4)
    relu = IntegerRelu(name="relu", inputs=("input",), twin=None, output=form, maximum=6)
    clip = IntegerClip(name="clip", inputs=("input",), twin=None, output=signed, low=2, high=3)
    join = IntegerConcat(name="join", inputs=("relu", "clip"), twin=None, output=FixedFormat(5))
    last = window("last", "join", FixedFormat(5), [[[[1, -10]]]])
    (found,) = addersim.prove(program_of(form, relu, clip, join, last)).layers
    assert (found.minimum, found.maximum, found.input_codes) == (-30, 6, (0, 6))
    assert found.witness.codes.tolist() == [[[0, 3]]]


def test_a_relu_of_sums_is_followed_only_where_reachable():
    """1 x 15 behind a ReLU that reads the register: 15 at most for any image; its format holds 0..63 all the same."""
    first = window("first", "input", FixedFormat(4, False), [[[[1]]]])
    relu = IntegerRelu(name="relu", inputs=("first",), twin=None, output=FixedFormat(6, False))
    last = window("last", "relu", relu.output, [[[[2]]]])
    program = program_of(first.input_format, first, relu, last)
    assert [one.maximum for one in addersim.prove(program).layers] == [15, 126]
    assert [one.maximum for one in addersim.prove(program, reachable=True).layers] == [15, 30]


def test_where_zero_is_no_code_padding_may_reach_further():
    """Codes of 2..3 times -10, and a tap in the padding in its stead: the corner alone keeps the sum at 3."""
    form = FixedFormat(4)
    clip = IntegerClip(name="clip", inputs=("input",), twin=None, output=form, low=2, high=3)
    last = window("last", "clip", form, [[[[-10], [1]]]], padding=(0, 1))
    (found,) = addersim.prove(program_of(form, clip, last)).layers
    assert (found.minimum, found.maximum) == (-30, 3)
    program = program_of(form, clip, window("last", "clip", form, [[[[10], [-1]]]], padding=(0, 1)))
    (found,) = addersim.prove(program).layers
    assert (found.minimum, found.witness.sum, found.witness.output) == (-3, 30, (0, 2))


def test_sums_that_are_always_zero_need_one_bit_and_have_no_witness():
    layer = window("zeros", "input", FixedFormat(8), np.zeros((2, 1, 1, 1)))
    certificate = addersim.prove(program_of(layer.input_format, layer))
    (found,) = certificate.layers
    assert (found.bits, found.witness, found.confirmed, found.narrower_filters) == (1, None, None, 0)
    assert "confirmed 0 of 0" in str(certificate)


def test_widths_that_no_register_has_are_confirmed_by_the_sum():
    layer = window("narrow", "input", FixedFormat(2), [[[[1]]]])
    (found,) = addersim.prove(program_of(layer.input_format, layer)).layers
    assert (found.bits, found.confirmed) == (2, True)
    assert not found.witness.confirmed(replace(layer, weights=layer.weights + np.int8(1)), found.bits)


def test_a_witness_that_does_not_overflow_is_not_confirmed():
    layer = window("wide", "input", FixedFormat(8, False), [[[[100]]], [[[1]]]])
    (found,) = addersim.prove(program_of(layer.input_format, layer)).layers
    assert (found.bits, found.confirmed, found.filter_bits.tolist()) == (16, True, [16, 9])
    assert not found.witness.confirmed(layer, found.bits + 1)
    assert not found.witness.confirmed(layer, found.bits - 1)


def test_a_whole_image_with_the_witness_in_it_overflows_at_its_place():
    network = addersim.load_network("lenet5-conv")
    program = addersim.quantize(network, images(network, 8))
    first = windows_of(program)[0]
    found = addersim.prove(program).layers[0]
    witness = found.witness
    whole = np.zeros((1, 28, 28, 1), first.input_format.dtype)
    top, left = (place * step - pad for place, step, pad in zip(witness.output, first.stride, first.padding, strict=True))
    rows, columns = (max(0, start) for start in (top, left))
    whole[0, rows : rows + witness.codes.shape[0], columns : columns + witness.codes.shape[1]] = witness.codes
    sums = [
        replace(first, accumulator=one).run(kernels, whole).values[(0, *witness.output, witness.filter)]
        for one in (Accumulator(), Accumulator(found.bits, "wrap"), Accumulator(found.bits - 1, "wrap"))
    ]
    assert sums[0] == sums[1] == witness.sum != sums[2]


def test_weights_that_are_not_known_are_refused():
    program = addersim.quantize(addersim.load_network("lenet5-conv"), None)
    with pytest.raises(
        QuantizationError, match="program lenet5-conv was made without calibration images: its weights are not"
    ):
        addersim.prove(program)


def test_the_record_converts():
    network = addersim.load_network("lenet5-conv")
    certificate = addersim.prove(addersim.quantize(network, images(network, 8)))
    document = json.loads(json.dumps(certificate.to_dict()))
    frame = certificate.to_frame()
    assert frame["bits"].tolist() == [one["bits"] for one in document["layers"]]
    assert set(frame["claim"]) == {"exact"}
    assert frame["filters"].tolist() == [len(one["filter_bits"]) for one in document["layers"]]
    assert (frame["narrower_filters"] < frame["filters"]).all()


def test_witnesses_are_written(tmp_path):
    network = addersim.load_network("lenet5-conv")
    certificate = addersim.prove(addersim.quantize(network, images(network, 8)))
    certificate.save_witnesses(tmp_path / "new")
    files = sorted((tmp_path / "new").iterdir())
    assert [one.name for one in files] == [f"{place:03}-{one.name}.npz" for place, one in enumerate(certificate.layers)]
    with np.load(files[1], allow_pickle=False) as held:
        about = json.loads(held["about"].item())
        np.testing.assert_array_equal(held["codes"], certificate.layers[1].witness.codes)
    assert (about["layer"], about["sum"], about["tap"]) == (
        "conv2",
        certificate.layers[1].witness.sum,
        [4, 4, about["tap"][2]],
    )


def test_a_layer_of_any_name_has_a_file_in_the_folder(tmp_path):
    layer = window("../a b\n/c", "input", FixedFormat(8), [[[[1]]]])
    addersim.prove(program_of(layer.input_format, layer)).save_witnesses(tmp_path / "here")
    assert [one.name for one in tmp_path.rglob("*.npz")] == ["000-.._a_b_c.npz"]
    assert [one.parent.name for one in tmp_path.rglob("*.npz")] == ["here"]
