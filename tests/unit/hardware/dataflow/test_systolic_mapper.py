"""The mapper against a slow twin that walks every tile loop, and properties that no mapping may break."""

from itertools import pairwise, permutations, product
from math import ceil

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as change

from addersim.arithmetic.geometry import Geometry
from addersim.errors import HardwareError
from addersim.hardware import estimate, load_accelerator, load_table
from addersim.hardware.dataflow import systolic_mapper
from addersim.hardware.dataflow.array_run import Beside, Placement
from addersim.hardware.dataflow.dispatch import layers_on_array, run_on_array
from addersim.hardware.dataflow.footprint import Footprint
from addersim.hardware.dataflow.tile_candidates import all_sizes
from addersim.hardware.dataflow.tiling_costs import LOOPS
from addersim.hardware.latency import buffer_cycles
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import ArrayTraffic, Widths, array_traffic, output_traffic, stored_outputs, unused_weights
from addersim.trace import MatrixWork, Operand, Trace
from tests.unit.hardware.dataflow.tile_walk import TileWalk
from tests.unit.hardware.traces import window

EDGE = load_accelerator("systolic-16x16")
TABLE = load_table("horowitz-45nm")
DATAFLOWS = ("output", "weight", "input")
OBJECTIVES = ("energy", "latency", "dram", "energy-delay")
AWAY, ALONE = Placement(False, False), Beside()


def machine(dataflow, rows=3, columns=2, unified=None, double_buffered=True, overlapped=False, banks=None, trees=None, **kib):
    prices = {"read_pj_per_word": 6.0, "write_pj_per_word": 5.0, "source": "made up", "word_bits": 16, "banks": banks}
    sizes = {"unified": unified} if unified else {name: kib.get(name, 1) for name in ("input", "weight", "output")}
    memories = {name: msgspec.structs.replace(EDGE.buffers.input, capacity_kib=size, **prices) for name, size in sizes.items()}
    buffers = type(EDGE.buffers)(keep_activations=False, double_buffered=double_buffered, **memories)
    array = change(EDGE.array, rows=rows, columns=columns, dataflow=dataflow, overlapped_folds=overlapped, broadcast=trees)
    return msgspec.structs.replace(EDGE, array=array, buffers=buffers)


def run(layer, on, objective="energy", placement=AWAY, batch=1, beside=ALONE):
    return run_on_array([(layer, placement)], on, batch, MovementEnergy(on, TABLE), objective, [beside])[0]


def tile_fits(tiled, tile, waiting):
    """Whether a tile fits the memories: twice where another one follows, once where it stays for the whole layer."""
    m, n, k = tile
    whole = [size >= int(of) for size, of in zip(tile, tiled.sizes, strict=True)]
    alone = tiled.work.groups == 1
    held = (
        (int(tiled.footprint.of_tile(m, k)), alone and whole[0] and whole[2]),
        (n * k, alone and whole[1] and whole[2]),
        (m * n * waiting, alone and whole[0] and whole[1]),
    )
    return tiled.capacity.fits(*(ceil(words / 2) if stays and tiled.double_buffered else words for words, stays in held))


def all_mappings(layer, on, placement=AWAY, batch=1, beside=ALONE):
    """(energy, cycles, bits) of every cut and order that fits, by the walk."""
    (tiled,), prices = layers_on_array([(layer, placement)], on, batch), MovementEnergy(on, TABLE)
    sides, time = tiled.fold_size, tiled.time
    for tile in product(*all_sizes([tiled])[0]):
        single = all(tile[place] <= sides[place] for place in range(3) if place != time)
        for order, stays in product(permutations(range(3)), (False, True)):
            if stays and not (single and order[-1] == time):
                continue
            cut_in_time = time == 2 and tile[2] < tiled.work.k and not stays
            if tile_fits(tiled, tile, cut_in_time if time == 2 else tiled.work.k > sides[2]):
                yield costs(layer, TileWalk(tiled, tile, order, stays), tile, on, prices, placement, batch, beside)


def costs(layer, walk, tile, on, prices, placement, batch, beside):
    """(energy, cycles of the stage, bits of DRAM) of one walk, with words of memories and DRAM counted one by one."""
    work, widths, constants = walk.tiled.work, Widths.of(layer), unused_weights(layer)
    trips = [ceil(int(size) / one) for size, one in zip(walk.tiled.sizes, tile, strict=True)]
    swept = int(walk.tiled.footprint.fetched(trips[0], trips[2]))
    words = ArrayTraffic(
        input_fills=round(walk.total("input") * swept), weight_fills=walk.total("weight"), spilled_sums=walk.total("back"),
        input_reads=walk.reads["input"], weight_reads=walk.reads["weight"],
        partial_sums=walk.reads["sum"] - work.m * work.n * work.groups,
    )  # fmt: skip
    accesses = (
        *array_traffic(widths, words.with_constants(constants), placement.input_kept),
        *output_traffic(stored_outputs(layer, batch), layer.output.bits, placement.output_kept),
        *beside.accesses,
    )
    bits = sum(access.size_bits for access in accesses if access.level == "dram")
    units = max(0, beside.vector, *buffer_cycles(accesses, on.buffers).values())
    cycle = on.dram_bits_per_cycle
    finished = sum(one.size_bits for one in accesses if one.level == "dram" and one.operand == "output")
    if on.buffers.double_buffered:
        arriving = 0 if placement.input_kept else swept * widths.input / cycle
        dram = {
            "start": constants * widths.weight / cycle, "input": arriving, "input again": arriving,
            "weight": widths.weight / cycle, "weight again": widths.weight / cycle, "sum": widths.partial_sum / cycle,
            "finished": finished / cycle / (work.m * work.n * work.groups),
        }  # fmt: skip
        cycles = walk.stage_cycles([dram], units)
    else:
        cycles = max(walk.cycles, units) + bits / cycle
    cycles = ceil(cycles * (1 - 2**-40))
    energy = beside.energy_pj + sum(map(prices.energy_pj, accesses)) + beside.leakage_pj * cycles
    return float(energy), cycles, bits


CONVOLUTIONS = st.builds(
    lambda kernel, stride, padding, after, size, channels, filters, groups: convolution(
        kernel, stride, min(padding, kernel - 1), max(size, kernel), channels, filters, groups, after=min(after, kernel - 1)
    ),
    st.integers(1, 3), st.integers(1, 2), st.integers(0, 1), st.integers(0, 2), st.integers(2, 4), st.integers(1, 3),
    st.integers(1, 5), st.integers(1, 2),
)  # fmt: skip


def convolution(kernel, stride, padding, size, channels, filters, groups=1, bits=8, known=True, after=None):
    far = None if after is None else (after, after)
    geometry = Geometry((kernel, kernel), (stride, stride), (padding, padding), groups=groups, far_padding=far)
    rows, columns = geometry.output_size(size, size)
    layer = window(
        "conv", rows * columns, kernel * kernel * channels, filters, inputs=size * size * channels * groups, groups=groups,
        bits=bits,
    )  # fmt: skip
    where = {"geometry": geometry, "image": (size, size)} if known else {}
    work = MatrixWork(layer.work.pixels, layer.work.window, filters, groups, **where)
    return type(layer)(**{name: getattr(layer, name) for name in layer.__slots__} | {"work": work})


MACHINES = st.builds(
    machine, st.sampled_from(DATAFLOWS), st.integers(1, 3), st.integers(1, 3),
    unified=st.none() | st.floats(0.02, 0.2), double_buffered=st.booleans(), overlapped=st.just(False),
    banks=st.none() | st.integers(1, 4), input=st.floats(0.01, 0.1), weight=st.floats(0.01, 0.1), output=st.floats(0.01, 0.1),
)  # fmt: skip


SMALL_LAYERS = st.one_of(
    st.builds(convolution, st.just(2), st.integers(1, 2), st.just(0), st.integers(2, 3), st.just(1), st.integers(1, 3)),
    st.builds(
        lambda m, k, n, groups, fused: window("w", m, k, n, inputs=m * k * groups, groups=groups, fused=fused),
        st.integers(1, 6), st.integers(1, 5), st.integers(1, 4), st.integers(1, 2), st.booleans(),
    ),
)  # fmt: skip


@pytest.mark.parametrize("examples", [25, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_mapping_of_all_is_better(examples):
    @settings(max_examples=examples, deadline=None)
    @given(
        SMALL_LAYERS, MACHINES, st.sampled_from(OBJECTIVES), st.booleans(), st.booleans(), st.sampled_from((0.1, 1, 12.8)),
        st.sampled_from((0.0, 30.0)),
    )  # fmt: skip
    def check(layer, on, objective, kept, overlapped, bandwidth, leakage):
        on = change(on, array=change(on.array, overlapped_folds=overlapped), dram=change(on.dram, bandwidth_gb_s=bandwidth))
        beside = Beside(energy_pj=50, leakage_pj=leakage)
        check_that_none_is_better(layer, on, objective, Placement(kept, layer.fused), beside)

    check()


def check_that_none_is_better(layer, on, objective, placement=AWAY, beside=ALONE, batch=1):
    everything = list(all_mappings(layer, on, placement, batch, beside))
    if not everything:
        with pytest.raises(HardwareError, match="the smallest, at most one fold, holds"):
            run(layer, on, objective, placement, batch, beside)
        return
    found = run(layer, on, objective, placement, batch, beside)
    outputs = output_traffic(stored_outputs(layer, batch), layer.output.bits, placement.output_kept)
    accesses = (*found.accesses, *outputs)
    energy = 50 * (beside.energy_pj > 0) + sum(map(MovementEnergy(on, TABLE).energy_pj, accesses))
    energy += beside.leakage_pj * found.stage_cycles
    ours = energy, found.stage_cycles, sum(access.size_bits for access in accesses if access.level == "dram")
    value = {
        "energy": lambda one: one[0], "latency": lambda one: one[1], "dram": lambda one: one[2],
        "energy-delay": lambda one: one[0] * one[1],
    }[objective]  # fmt: skip
    assert value(ours) == pytest.approx(min(map(value, everything)), rel=1e-9)
    assert any(ours == pytest.approx(one, rel=1e-9) for one in everything)  # it is one of them in every respect


@given(CONVOLUTIONS, MACHINES, st.sampled_from(OBJECTIVES), st.booleans(), st.integers(1, 2))
def test_unique_words_at_least_and_no_reuse_at_most(layer, on, objective, overlapped, batch):
    on = msgspec.structs.replace(on, array=msgspec.structs.replace(on.array, overlapped_folds=overlapped))
    try:
        found = run(layer, on, objective, batch=batch)
    except HardwareError:
        return
    words = {(access.level, access.operand): access for access in found.accesses}
    (tiled,) = layers_on_array([(layer, AWAY)], on, batch)
    taps, sums = layer.work.taps * batch, layer.output.words * batch
    unique = tiled.footprint.words * layer.work.groups
    assert unique <= words["dram", "input"].reads <= words["buffer", "input"].reads <= taps
    assert layer.weights.words <= words["dram", "weight"].reads <= words["buffer", "weight"].reads <= taps
    assert words["buffer", "input"].writes == words["dram", "input"].reads
    assert words["buffer", "weight"].writes == words["dram", "weight"].reads
    for level in ("buffer", "dram"):
        waiting = words.get((level, "partial_sum"))
        assert waiting is None or waiting.reads == waiting.writes
    spilled = words["dram", "partial_sum"].reads if ("dram", "partial_sum") in words else 0
    assert spilled % sums == 0
    assert spilled <= taps - sums
    assert taps <= found.cycles * on.array.elements


@given(CONVOLUTIONS, st.sampled_from(DATAFLOWS), st.lists(st.floats(0.02, 0.1), min_size=6, max_size=6), st.booleans())
def test_larger_memories_never_move_more_bits_through_dram(layer, dataflow, sizes, together):
    names = ("input", "weight", "output")
    small = {"unified": sum(sizes[:3])} if together else dict(zip(names, sizes[:3], strict=True))
    more = (
        {"unified": sum(sizes)}
        if together
        else dict(zip(names, map(sum, zip(sizes[:3], sizes[3:], strict=True)), strict=True))
    )

    def bits(on):
        try:
            return sum(access.size_bits for access in run(layer, on, "dram").accesses if access.level == "dram")
        except HardwareError:
            return float("inf")

    assert bits(machine(dataflow, **more)) <= bits(machine(dataflow, **small))


@settings(max_examples=25, deadline=None)
@given(CONVOLUTIONS, MACHINES, st.sampled_from(OBJECTIVES))
def test_the_chosen_tiles_cover_the_layer(layer, on, objective):
    try:
        loops = run(layer, on, objective).tiling.loops
    except HardwareError:
        return
    sizes = dict(zip(LOOPS, (layer.work.pixels, layer.work.filters, layer.work.window), strict=True))
    assert {loop.dimension for loop in loops} == set(sizes)
    for loop in loops:
        assert loop.tile <= sizes[loop.dimension] <= loop.trips * loop.tile


@given(CONVOLUTIONS, st.integers(1, 3))
def test_footprints_bound_the_pixels_that_tiles_really_read(layer, batch):
    work, found = layer.work, Footprint.of(layer.work, layer.inputs[0], batch)
    geometry, (height, width) = work.geometry, work.image
    _, columns = geometry.output_size(height, width)

    def read(outputs):
        """Pixels of one channel under outputs in raster order, images stacked."""
        places = set()
        for output in outputs:
            image, pixel = divmod(output, work.pixels)
            row, column = divmod(pixel, columns)
            for y, x in product(range(geometry.kernel[0]), range(geometry.kernel[1])):
                place = (
                    row * geometry.stride[0] + y - geometry.padding[0],
                    column * geometry.stride[1] + x - geometry.padding[1],
                )
                if 0 <= place[0] < height and 0 <= place[1] < width:
                    places.add((image, *place))
        return places

    everything = range(work.pixels * batch)
    assert len(read(everything)) * found.channels == found.words
    for tiles in range(1, work.pixels * batch + 1):
        starts = [work.pixels * batch * tile // tiles for tile in range(tiles + 1)]
        cuts = [everything[start:end] for start, end in pairwise(starts)]
        largest = max(map(len, cuts))
        assert max(len(read(cut)) for cut in cuts) <= int(found.of_tile(largest, found.taps)) <= largest * found.taps
        assert sum(len(read(cut)) for cut in cuts) * found.channels <= int(found.fetched(tiles, 1))
        assert int(found.fetched(tiles, 1)) <= found.products


def test_without_a_geometry_only_the_stored_words_are_known():
    known, unknown = (convolution(3, 1, 1, 8, 2, 4, known=how) for how in (True, False))
    a, b = (Footprint.of(layer.work, layer.inputs[0], 1) for layer in (known, unknown))
    assert (a.words, b.words) == (128, 128)
    assert (int(a.of_tile(4, 18)), int(b.of_tile(4, 18))) == (2 * 3 * (4 + 2 * 2), 4 * 18)  # four pixels may lie in two rows
    assert (int(a.fetched(2, 1)), int(b.fetched(2, 1))) == (128 + 2 * (2 * 8 + 3 * 2), 128)


def test_a_stride_skips_words_that_no_window_reads():
    layer = convolution(1, 2, 0, 4, 3, 2)
    assert Footprint.of(layer.work, layer.inputs[0], 1).words == 4 * 3


@pytest.mark.parametrize(("dilation", "stride", "padding"), [(2, 4, 0), (3, 2, 1), (4, 6, 2), (2, 1, 0), (2, 2, 3)])
def test_dilated_windows_are_billed_for_the_pixels_that_they_read(dilation, stride, padding):
    """Taps apart and windows apart leave pixels out that were billed: up to 2.8 times the inputs."""
    geometry = Geometry((3, 2), (stride, stride), (padding, padding), (dilation, dilation))
    rows, columns = geometry.output_size(17, 15)
    read = {
        (y * stride + i * dilation - padding, x * stride + j * dilation - padding)
        for y, x, i, j in product(range(rows), range(columns), range(3), range(2))
    }
    stored = sum(0 <= y < 17 and 0 <= x < 15 for y, x in read)
    work = MatrixWork(rows * columns, 6 * 4, 2, geometry=geometry, image=(17, 15))
    assert Footprint.of(work, Operand(17 * 15 * 4, 8), 1).words == stored * 4


def test_windows_that_all_lie_in_the_padding_read_nothing():
    """Rows -5 and -3: the next window would begin behind all padding."""
    geometry = Geometry((2, 1), (20, 1), (5, 0), (2, 1), far_padding=(0, 0))
    assert Footprint.of(MatrixWork(1, 2, 1, geometry=geometry, image=(3, 1)), Operand(3, 8), 1).words == 0


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_layers_together_run_as_each_does_alone(dataflow, monkeypatch):
    layers = [
        convolution(*shape) for shape in ((3, 1, 1, 8, 2, 4), (1, 2, 0, 4, 3, 2), (3, 2, 1, 9, 4, 8, 2), (2, 1, 0, 5, 1, 7))
    ]
    placed = [(layer, Placement(kept, not kept)) for layer in layers for kept in (False, True)]
    on = machine(dataflow, input=0.1, weight=0.05, output=0.1)
    together = run_on_array(placed, on, 2, MovementEnergy(on, TABLE), "energy-delay")
    assert together == [run(layer, on, "energy-delay", placement, 2) for layer, placement in placed]
    monkeypatch.setattr(systolic_mapper, "_AT_ONCE", 1)
    assert together == run_on_array(placed, on, 2, MovementEnergy(on, TABLE), "energy-delay")


@pytest.mark.parametrize("dataflow", DATAFLOWS)
def test_a_layer_that_fits_fetches_every_word_once(dataflow):
    """It may still be cut: what is there sooner is waited for less."""
    layer = convolution(3, 1, 1, 4, 2, 4)
    found = run(layer, machine(dataflow, input=10, weight=10, output=10))
    assert {access.operand: access.reads for access in found.accesses if access.level == "dram"} == {"input": 32, "weight": 72}


def test_partial_sums_wait_on_chip_where_a_tile_of_them_fits():
    # 9 taps on 3 rows: three folds, two of which add to the eight sums that are there
    layer = window("fc", 4, 9, 2, inputs=36, accumulator_bits=16)
    on = machine("weight", rows=3, columns=2, input=1, weight=1, output=4 * 2 / 1024)
    found = run(layer, on, "dram")
    assert {loop.dimension: loop.trips for loop in found.tiling.loops} == {"pixels": 4, "filters": 1, "window": 1}
    sums = [access for access in found.accesses if access.operand == "partial_sum"]
    assert [(access.level, access.reads) for access in sums] == [("buffer", 8 * 2)]


def words_by_level(accesses):
    return {(access.level, access.operand): (access.reads, access.writes, access.bits) for access in accesses}


SPILLING = window("fc", 4, 8, 4, inputs=32, accumulator_bits=16)
"""4 pixels, 8 taps, 4 filters; operands of 8 bits, sums of 16. On 2 x 2 elements, weight stationary: 4 folds along the taps,
2 along the filters."""


CRAMPED = machine("weight", 2, 2, double_buffered=False, input=1, weight=4 / 1024, output=2 * 2 / 1024)


@pytest.mark.parametrize("objective", ["energy", "dram"])
def test_partial_sums_that_go_to_dram_by_hand(objective):
    """Half of the taps of one filter fit the weights' memory (4 words) and two pixels of one filter the sums' (2 words).

    So there are 2 x 4 x 2 tiles (pixels x filters x window), and the orders move these words through DRAM:

    =================  ===========  ============  ======================  =======================
    order              inputs (32)  weights (32)  sums (16), both ways    bits
    =================  ===========  ============  ======================  =======================
    window innermost   x 4 filters  x 2 pixels    0                       8 (128 + 64) = 1536
    pixels innermost   x 4 filters  x 1           once out, once back 32  8 (128 + 32) + 512 = 1792
    filters innermost  x 1          x 2 pixels    once out, once back 32  8 (32 + 64) + 512 = 1280
    =================  ===========  ============  ======================  =======================

    The third is least; one pixel of two filters with a quarter of the taps would come to 2304. Without any reuse each of
    4 x 8 x 4 = 128 taps would take its own input and weight.

    - Buffers: the array takes 4 x 8 inputs for each of 4 folds of filters, and 8 x 4 weights anew for each of 2 pixel tiles.
    - Sums: fold 1 of 4 writes 16; folds 2 and 3 read and write 16; fold 4 reads 16 and writes the outputs. Between folds 2
      and 3 the 16 are read to go to DRAM and written when they are back: 64 reads, 64 writes.
    - Cycles: 16 tiles of two folds, each filled in 2 + 2 + 1 - 2 (it uses one column) and 2 pixels long.
    """
    found = run(SPILLING, CRAMPED, objective)
    assert {loop.dimension: (loop.trips, loop.tile) for loop in found.tiling.loops} == {
        "pixels": (2, 2), "filters": (4, 1), "window": (2, 4),
    }  # fmt: skip
    assert found.tiling.loops[-1].dimension == "filters"
    assert words_by_level((*found.accesses, *output_traffic(SPILLING.output.words, SPILLING.output.bits, False))) == {
        ("dram", "input"): (32, 0, 8),
        ("dram", "weight"): (64, 0, 8),
        ("dram", "partial_sum"): (16, 16, 16),
        ("dram", "output"): (0, 16, 16),
        ("buffer", "input"): (128, 32, 8),
        ("buffer", "weight"): (64, 64, 8),
        ("buffer", "partial_sum"): (64, 64, 16),
        ("buffer", "output"): (16, 16, 16),
    }
    assert found.cycles == 16 * 2 * (3 + 2)


def test_energy_of_partial_sums_that_go_to_dram_by_hand():
    """The words above at 6 pJ a read and 5 pJ a write of a 16-bit word, two operands in one; DRAM at the table's price.

    Buffers: 6 (128 + 64) / 2 + 5 (32 + 64) / 2 for inputs and weights, (6 + 5) (64 + 16) for sums and outputs.
    """
    cost = estimate(Trace("one", "hardware", (SPILLING,)), CRAMPED, TABLE)
    parts = cost.energy_by_component()
    assert parts["buffer"] == pytest.approx(6 * 96 + 5 * 48 + 11 * 80)
    assert parts["dram"] == pytest.approx((1280 + 16 * 16) * TABLE.dram(CRAMPED.dram.kind).energy_pj)


@pytest.mark.parametrize("objective", ["latency", "energy-delay"])
def test_sums_wait_where_a_window_that_would_fit_uncut_is_cut_for_speed(objective):
    """Outputs stationary: an uncut window needs no memory for sums, a cut one does; here there is next to none for them."""
    layer = window("w", 2, 3, 1, inputs=12, groups=2, fused=True)
    on = machine("output", 1, 3, overlapped=True, input=0.045, weight=0.047, output=0.006)
    on = change(on, dram=change(on.dram, bandwidth_gb_s=1))
    check_that_none_is_better(layer, on, objective, Placement(False, True), Beside(energy_pj=50))


def test_room_for_all_sums_spares_dram():
    on = machine("weight", 2, 2, double_buffered=False, input=1, weight=8 / 1024, output=16 * 2 / 1024)
    found = words_by_level(run(SPILLING, on, "dram").accesses)
    assert {key: words for key, words in found.items() if key[0] == "dram"} == {
        ("dram", "input"): (32, 0, 8), ("dram", "weight"): (32, 0, 8),
    }  # fmt: skip
    assert found["buffer", "partial_sum"] == (48, 48, 16)  # between the four folds only


def test_a_mapping_says_its_loops_outermost_first():
    layer = convolution(1, 1, 0, 4, 3, 5)
    tiling = run(layer, machine("output", input=0.01, weight=0.01)).tiling
    assert str(tiling) == ", ".join(f"{loop.dimension} {loop.trips} x {loop.tile}" for loop in tiling.loops)


def test_a_memory_that_the_smallest_tile_just_fills_is_not_the_one_that_is_too_small():
    # one fold of so many taps and filters is 2 x 2 weights of 8 bits beside two inputs: two words of 16 bits and one
    layer = window("fc", 128, 66, 66, inputs=8448, accumulator_bits=16)
    sizes = {"double_buffered": False, "input": 2 / 1024, "output": 1}
    with pytest.raises(
        HardwareError, match=r"buffers\.weight of .* the smallest, at most one fold, holds 4 weights of 8 bits"
    ):
        run(layer, machine("weight", 2, 2, weight=2 / 1024, **sizes))
    assert run(layer, machine("weight", 2, 2, weight=4 / 1024, **sizes)).cycles
