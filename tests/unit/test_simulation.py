"""Simulation: kernels and twins agree over whole networks, batches do not matter, what is seen is what happened."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from addersim import Accumulator, Quantization, kernels, quantize, simulate
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.errors import DataError, NetworkError
from addersim.kernels import reference
from addersim.layers import IntegerWindow
from addersim.program import Program
from addersim.simulation import count
from addersim.zeros import count_zeros
from tests.unit.networks import images, residual

ACCUMULATORS = (Accumulator(), Accumulator(11, "saturate"), Accumulator(10, "wrap"), Accumulator(24, "saturate"))


@pytest.fixture(scope="module", params=("l1", "mac"))
def network(request):
    return residual(arithmetic=request.param)


@pytest.fixture(scope="module", params=ARITHMETICS)
def any_network(request):
    return residual(arithmetic=request.param)


@pytest.mark.parametrize("bits", [(8, 8), (3, 3), (5, 9), (16, 16), (12, 4)], ids=str)
@pytest.mark.parametrize("accumulator", ACCUMULATORS, ids=str)
def test_kernels_and_twins_give_the_same_codes_and_the_same_observations(any_network, bits, accumulator):
    pixels = images(any_network, 6)
    rules = Quantization(weight_bits=bits[0], activation_bits=bits[1], accumulator=accumulator, correction="none")
    program = quantize(any_network, pixels, rules)
    fast, slow = (list(program.runs(pixels, engine)) for engine in (kernels, reference))
    for (name, ours), (twin_name, twin) in zip(fast, slow, strict=True):
        assert name == twin_name
        assert ours.observed == twin.observed, name
        assert ours.values.dtype == twin.values.dtype, name
        assert np.array_equal(ours.values, twin.values), name


@pytest.mark.parametrize("accumulator", ACCUMULATORS, ids=str)
@pytest.mark.parametrize("engine", [kernels, reference], ids=lambda engine: engine.__name__.rpartition(".")[2])
def test_layers_that_run_as_one_give_what_they_give_one_by_one(any_network, engine, accumulator):
    pixels = images(any_network, 6)
    program = quantize(
        any_network, pixels, Quantization(weight_bits=6, activation_bits=6, accumulator=accumulator, correction="none")
    )
    apart, joined = (dict(program.runs(pixels, engine, stream=stream)) for stream in (False, True))
    assert list(apart) == list(joined)
    assert any(run.values is None for run in joined.values())
    for name, run in joined.items():
        assert run.observed == apart[name].observed, name
        assert run.values is None or np.array_equal(run.values, apart[name].values), name


@pytest.mark.parametrize("rounding", ["half-even", "half-up", "truncate"])
@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_rounding_and_overflow_agree_in_both_engines(network, rounding, overflow):
    pixels = images(network, 5)
    rules = Quantization(weight_bits=5, activation_bits=5, rounding=rounding, overflow=overflow)
    program = quantize(network, pixels, rules)
    assert np.array_equal(program.run(pixels, kernels), program.run(pixels, reference))


def test_the_batch_size_changes_nothing(network):
    pixels = images(network, 23)
    program = quantize(network, pixels)
    found = [simulate(program, pixels, network=network, batch=batch) for batch in (1, 7, 100)]
    for other in found[1:]:
        assert np.array_equal(other.predictions, found[0].predictions)
        assert other.trace == found[0].trace
        assert other.errors == pytest.approx(found[0].errors) or all(
            a.relative_error == pytest.approx(b.relative_error, rel=1e-5)
            for a, b in zip(other.errors, found[0].errors, strict=True)
        )


def test_large_images_run_in_smaller_batches(network, monkeypatch):
    pixels = images(network, 10)
    program = quantize(network, pixels)
    largest = max(value.words for value in program.static_values().values())
    for words, expected in ((4 * largest, [3, 6, 10]), (1, list(range(1, 11))), (1 << 40, [10])):
        monkeypatch.setattr("addersim.simulated_batches.LARGEST_WORDS", words)
        seen = []
        simulate(program, pixels, threads=1, progress=seen.append)
        assert seen == expected


def test_what_kernels_need_of_a_program_is_found_out_once(network):
    program = quantize(network, images(network, 4))
    kept, other = program.prepared(stream=True), program.with_rounding("ort").prepared(stream=True)
    assert program.prepared(stream=True) is kept is not other
    assert program.prepared(reference, stream=True) is not program.prepared(reference, stream=True)
    assert program.prepared() is not kept  # every value is there


def test_batches_have_a_hundred_images_where_memory_allows_it(network, monkeypatch):
    monkeypatch.setattr("addersim.simulated_batches.FEW_WORDS", 1)
    batches = []
    program, pixels = quantize(network, images(network, 4)), images(network, 200)
    simulate(program, pixels, network=network, threads=1, progress=batches.append)
    simulate(program, pixels, threads=13, progress=batches.append)  # sharing each image's work
    assert batches == [100, 200, 100, 200]
    simulate(program, pixels, threads=1, progress=batches.append)  # chains of layers hold few values
    assert batches[4:] == [200]


def test_threads_take_batches_and_change_nothing(network):
    pixels = images(network, 53)
    program = quantize(network, pixels)
    found = [simulate(program, pixels, network=network, batch=40, threads=threads) for threads in (1, 2, 3)]
    for other in found[1:]:
        assert np.array_equal(other.predictions, found[0].predictions)
        assert (other.trace, other.agreement) == (found[0].trace, found[0].agreement)
        for one, first in zip(other.errors, found[0].errors, strict=True):
            assert one.name == first.name
            assert one.relative_error == pytest.approx(first.relative_error, rel=1e-5)


def test_what_a_layer_reports_is_what_its_sums_were(network):
    pixels = images(network, 8)
    program = quantize(network, pixels)
    trace = simulate(program, pixels).trace
    values = {name: run.values for name, run in program.runs(pixels)}
    for layer in trace.layers:
        if layer.work:
            sums = values[layer.name].astype(np.int64)
            seen = layer.observed
            assert (seen.minimum, seen.maximum, seen.overflowed) == (sums.min(), sums.max(), 0)
            assert seen.outputs == sums.size
            assert -(2 ** (seen.bits_needed - 1)) <= sums.min() <= sums.max() < 2 ** (seen.bits_needed - 1)


def test_the_width_that_would_have_been_enough_is_enough(network):
    """An accumulator of the needed width changes nothing; one bit less changes something."""
    pixels = images(network, 8)
    exact = quantize(network, pixels, Quantization(correction="none"))
    needed = max(layer.observed.bits_needed for layer in simulate(exact, pixels).trace.layers if layer.work)
    for bits, same in ((needed, True), (needed - 1, False)):
        program = quantize(network, pixels, Quantization(correction="none", accumulator=Accumulator(bits, "wrap")))
        overflowed = sum(layer.observed.overflowed for layer in simulate(program, pixels).trace.layers if layer.work)
        assert (overflowed == 0) == same
        assert np.array_equal(program.run(pixels), exact.run(pixels)) or not same


def test_accumulators_of_l1_are_as_wide_as_the_field_says():
    """Eight-bit operands need 17 bits for 144 taps, 19 for 576, 22 for 4,608."""
    from addersim.arithmetic.fixed import FixedFormat

    for taps, bits in ((144, 17), (576, 19), (4608, 22)):
        operand = FixedFormat(8, False)
        layer = IntegerWindow(
            name="layer",
            inputs=("input",),
            twin=None,
            datapath="l1-2a",
            weights=np.zeros((1, 1, 1, taps), np.uint8),
            input_format=operand,
            weight_format=operand,
            accumulator=Accumulator(),
        )
        assert layer.bits_bound() == bits


def test_departure_is_the_first_layer_beyond_the_threshold(network):
    pixels = images(network, 16)
    program = quantize(network, pixels, Quantization(weight_bits=4, activation_bits=4))
    found = simulate(program, pixels, network=network, threshold=0.05)
    beyond = [error for error in found.errors if error.relative_error > 0.05]
    assert found.departure == beyond[0]
    assert simulate(program, pixels, network=network, threshold=1e9).departure is None


def test_progress_counts_images(network):
    pixels = images(network, 10)
    seen = []
    simulate(quantize(network, pixels), pixels, batch=4, progress=seen.append)
    assert seen == [3, 6, 10]


def test_agreement_and_accuracy_are_shares(network):
    pixels = images(network, 20)
    program = quantize(network, pixels)
    scores = network.run(pixels).argmax(axis=1)
    found = simulate(program, pixels, scores, network)
    assert found.accuracy_float == 1.0
    assert found.accuracy == found.agreement == (found.predictions == scores).mean()


def test_formats_that_do_not_fit_are_refused_by_check(network):
    from msgspec.structs import replace

    program = quantize(network, images(network, 8))
    for kind, message in (
        ("window", "expects its input in"),
        ("relu", "must have one scale"),
        ("add", "all three need one scale"),
        ("max_pool", "must have one format"),
    ):
        place = next(i for i, layer in enumerate(program.layers) if layer.kind() == kind and layer.inputs[0] != "shift")
        layer = program.layers[place]
        field = "input_format" if kind == "window" else "output"
        fixed = getattr(layer, field)
        wrong = type(fixed)(fixed.bits, fixed.signed, fixed.scale * 2)
        changes = {field: wrong}
        if kind == "window" and layer.datapath.startswith("l1"):
            changes["weight_format"] = type(fixed)(layer.weight_format.bits, layer.weight_format.signed, fixed.scale * 2)
        broken = [*program.layers[:place], replace(layer, **changes), *program.layers[place + 1 :]]
        with pytest.raises(NetworkError, match=message):
            replace(program, layers=tuple(broken))


def test_one_scale_for_both_operands_of_an_adder_layer_is_enforced():
    from msgspec.structs import replace

    network = residual(arithmetic="l1")
    program = quantize(network, images(network, 8))
    layer = next(one for one in program.layers if isinstance(one, IntegerWindow) and one.datapath == "l1-2a")
    wrong = type(layer.weight_format)(8, layer.weight_format.signed, layer.weight_format.scale * 1.5)
    with pytest.raises(NetworkError, match="l1-2a needs one scale for input and weights"):
        replace(layer, weight_format=wrong)


def test_residual_streams_and_pipelines_are_told_apart():
    program = quantize(residual(), None)
    fused = program.fused()
    assert {"stem", "stem_norm", "first", "first_norm", "add"} <= fused
    assert "stem_relu" not in fused  # it has two readers
    assert "add_relu" not in fused  # pooling reads its words more than once
    layers = {layer.name: layer for layer in count(program).layers}
    assert layers["stem_norm"].inputs == ()
    assert [operand.words for operand in layers["add"].inputs] == [8 * 10 * 12]


def test_zeros_of_what_layers_read_are_those_of_their_codes(any_network):
    pixels = images(any_network, 7)
    program = quantize(any_network, pixels)
    codes = {name: run.values for name, run in program.runs(pixels)}
    names = ["input", *(layer.name for layer in program.layers)]
    for batch in (7, 2):
        trace = simulate(program, pixels, batch=batch, threads=1).trace
        for layer in trace.layers:
            assert len(layer.zeros) == len(layer.inputs), layer.name
            for source, found in zip(layer.sources, layer.zeros, strict=True):
                rows = codes[names[source + 1]].reshape(7, -1) == 0
                runs = sum(bool(row[place]) and not (place and row[place - 1]) for row in rows for place in range(len(row)))
                assert found[:3] == (rows.size, rows.sum(), runs), layer.name
                assert found == count_zeros(codes[names[source + 1]]), layer.name
            written = count_zeros(codes[layer.name])
            assert layer.output_zeros == (None if layer.fused else written), layer.name
    assert not any(layer.zeros or layer.output_zeros for layer in count(program).layers)


def test_taps_on_zeros_are_those_on_padding_and_those_on_zeros(network):
    pixels = images(network, 4)
    trace = simulate(quantize(network, pixels), pixels).trace
    for layer in trace.layers:
        if layer.work is None:
            assert layer.zero_taps is None
            continue
        geometry, image = layer.work.geometry, layer.work.image
        inside, where = 0, [range(size) for size in (*geometry.output_size(*image), *geometry.kernel)]
        for place in itertools.product(*where):
            at = [
                place[axis] * geometry.stride[axis] + place[axis + 2] * geometry.dilation[axis] - geometry.padding[axis]
                for axis in range(2)
            ]
            inside += all(0 <= one < size for one, size in zip(at, image, strict=True))
        padded = 1 - inside / math.prod(map(len, where))
        assert layer.work.padded == pytest.approx(padded)
        assert layer.zero_taps == pytest.approx(padded + (1 - padded) * layer.zeros[0].share)
        assert replace(layer, zeros=()).zero_taps is None


def test_conventions_are_named(network):
    program = quantize(network, None)
    assert isinstance(program, Program)
    assert set(count(program, "paper").operations.by_operation()) <= {"add", "mul"}
    with pytest.raises(NetworkError, match="convention: 'thop' is not one of hardware, paper"):
        count(program, "thop")


def test_programs_of_one_network_share_its_float_run(network):
    pixels = images(network, 20)
    labels = np.arange(20) % 5
    program = quantize(network, pixels, Quantization(weight_bits=3, activation_bits=3))
    choices = network.run(pixels).argmax(axis=1)
    ours, twin = simulate(program, pixels, labels, float_predictions=choices), simulate(program, pixels, labels, network)
    assert (ours.accuracy_float, ours.accuracy, ours.agreement) == (twin.accuracy_float, twin.accuracy, twin.agreement)
    assert ours.trace == twin.trace
    assert ours.errors == ()
    with pytest.raises(DataError, match="float_predictions: int64 of shape"):
        simulate(program, pixels, labels, float_predictions=choices[:3])
    with pytest.raises(DataError, match="give the float network or its predictions, not both"):
        simulate(program, pixels, labels, network, float_predictions=choices)
