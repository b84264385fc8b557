"""The mapper against a slow twin that walks every tile loop, and properties that no mapping may break."""

from itertools import pairwise, permutations, product
from math import ceil

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim.arithmetic.geometry import Geometry
from addersim.errors import HardwareError
from addersim.hardware import estimate, load_accelerator, load_table
from addersim.hardware.dataflow import systolic_mapper
from addersim.hardware.dataflow.array_run import Placement
from addersim.hardware.dataflow.dispatch import layers_on_array, run_on_array
from addersim.hardware.dataflow.footprint import Footprint
from addersim.hardware.dataflow.systolic_mapper import LOOPS
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import ArrayTraffic, Widths, array_traffic, output_traffic, unused_weights
from addersim.trace import MatrixWork, Operand, Trace
from tests.unit.hardware.traces import window

EDGE = load_accelerator("systolic-16x16")
TABLE = load_table("horowitz-45nm")
DATAFLOWS = ("output", "weight", "input")
OBJECTIVES = ("energy", "latency", "dram", "energy-delay")
AWAY = Placement(False, False)


def machine(dataflow, rows=3, columns=2, unified=None, double_buffered=True, overlapped=False, banks=None, **kib):
    prices = {"read_pj_per_word": 6.0, "write_pj_per_word": 5.0, "source": "made up", "word_bits": 16, "banks": banks}
    sizes = {"unified": unified} if unified else {name: kib.get(name, 1) for name in ("input", "weight", "output")}
    memories = {name: msgspec.structs.replace(EDGE.buffers.input, capacity_kib=size, **prices) for name, size in sizes.items()}
    buffers = type(EDGE.buffers)(keep_activations=False, double_buffered=double_buffered, **memories)
    array = msgspec.structs.replace(EDGE.array, rows=rows, columns=columns, dataflow=dataflow, overlapped_folds=overlapped)
    return msgspec.structs.replace(EDGE, array=array, buffers=buffers)


def run(layer, on, objective="energy", placement=AWAY, batch=1):
    return run_on_array([(layer, placement)], on, batch, MovementEnergy(on, TABLE), objective)[0]


def even(size, parts):
    return [size * (part + 1) // parts - size * part // parts for part in range(parts)]


def walk(tiled, trips, order):
    """Slow twin: every tile of one group is visited in order; what is not the tile before is fetched, sums come and go."""
    units = [even(folds, number) for folds, number in zip(tiled.folds, trips, strict=True)]
    array, held = tiled.array, {}
    held_dimensions = [dimension for dimension in range(3) if dimension != tiled.time]
    lone = all(trips[dimension] == tiled.folds[dimension] for dimension in held_dimensions)
    stays = lone and order[-1] == tiled.time
    fetched = {"input": 0, "weight": 0, "sum": 0}
    cycles = 0
    begun = set()
    for place in product(*(range(trips[dimension]) for dimension in order)):
        at = dict(zip(order, place, strict=True))
        tiles = {"input": (at[0], at[2]), "weight": (at[2], at[1]), "sum": (at[0], at[1])}
        for operand, tile in tiles.items():
            if held.get(operand) != tile:
                held[operand] = tile
                fetched[operand] += operand != "sum" or tile in begun
        begun.add(tiles["sum"])
        sides = [units[dimension][at[dimension]] for dimension in held_dimensions]
        fill = (array.rows if tiled.time == 2 else 2 * array.rows) + array.columns - 2
        new = not stays or at[tiled.time] == 0
        cycles += sides[0] * sides[1] * (fill * new + units[tiled.time][at[tiled.time]])
    parts = 1 if stays else trips[tiled.time]
    share = {"input": trips[0] * trips[2], "weight": trips[2] * trips[1], "sum": trips[0] * trips[1]}
    passes = {operand: ceil(number / share[operand]) for operand, number in fetched.items()}
    return passes, parts, cycles * tiled.work.groups


def tile_fits(tiled, trips, parts):
    """Whether the largest tile fits the memories."""
    pixels, filters, taps = (
        min(size, max(even(folds, number)) * unit)
        for folds, number, unit, size in zip(tiled.folds, trips, tiled.fold_size, tiled.sizes, strict=True)
    )
    waiting = parts > 1 if tiled.time == 2 else tiled.folds[2] > 1
    return tiled.capacity.fits(int(tiled.footprint.of_tile(pixels, taps)), taps * filters, pixels * filters * waiting)


def all_mappings(layer, on, placement=AWAY, batch=1):
    """(energy, cycles, bits) of every cut and order that fits, by the walk."""
    (tiled,), prices = layers_on_array([(layer, placement)], on, batch), MovementEnergy(on, TABLE)
    work = tiled.work
    outputs = output_traffic(layer.output.words * batch, layer.output.bits, placement.output_kept)
    for trips in product(*(range(1, folds + 1) for folds in tiled.folds)):
        for order in permutations(range(3)):
            passes, parts, cycles = walk(tiled, trips, order)
            if not tile_fits(tiled, trips, parts):
                continue
            lacking = (1, 0, 2)  # places of the dimension that inputs, weights and sums do not have
            reads = [parts if place == tiled.time else tiled.folds[place] for place in lacking]
            sums, groups = work.m * work.n * work.groups, work.groups
            words = ArrayTraffic(
                input_fills=int(tiled.footprint.fetched(trips[0], trips[2])) * passes["input"] * groups,
                weight_fills=work.k * work.n * groups * passes["weight"],
                spilled_sums=sums * passes["sum"],
                input_reads=work.m * work.k * groups * reads[0],
                weight_reads=work.k * work.n * groups * reads[1],
                partial_sums=sums * (reads[2] - 1),
            )
            accesses = (
                *array_traffic(Widths.of(layer), words.with_constants(unused_weights(layer)), placement.input_kept),
                *outputs,
            )
            yield costs(accesses, cycles, on, prices)


def costs(accesses, cycles, on, prices):
    """(energy, latency, bits of DRAM), words of the memories in fractions as the mapper counts them."""
    energy = bits = 0
    busy = {}
    for access in accesses:
        read, write = prices.per_operand(access.level, access.operand, access.bits)
        energy += access.reads * read + access.writes * write
        memory = on.buffers.of(access.operand)
        if access.level == "dram":
            bits += access.size_bits
        elif memory.banks:
            name = on.buffers.memory(access.operand)
            busy[name] = busy.get(name, 0) + access.words * memory.share(access.bits) / memory.banks
    compute, dram = max(cycles, *busy.values(), 0), bits / on.dram_bits_per_cycle
    return float(energy), float(max(compute, dram) if on.buffers.double_buffered else compute + dram), bits


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


@settings(max_examples=20, deadline=None)
@given(
    CONVOLUTIONS, MACHINES, st.sampled_from(("energy", "latency", "dram", "energy-delay")), st.booleans(), st.integers(1, 2)
)
def test_no_mapping_of_all_is_better(layer, on, objective, kept, batch):
    check_that_none_is_better(layer, on, objective, Placement(kept, False), batch)


def check_that_none_is_better(layer, on, objective, placement=AWAY, batch=1):
    everything = list(all_mappings(layer, on, placement, batch))
    if not everything:
        with pytest.raises(HardwareError, match="the smallest, one fold, holds"):
            run(layer, on, objective, placement, batch)
        return
    found = run(layer, on, objective, placement, batch)
    accesses = (*found.accesses, *output_traffic(layer.output.words * batch, layer.output.bits, False))
    ours = costs(accesses, found.cycles, on, MovementEnergy(on, TABLE))
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
def test_a_layer_that_fits_is_not_cut(dataflow):
    layer = convolution(3, 1, 1, 4, 2, 4)
    found = run(layer, machine(dataflow, input=10, weight=10, output=10))
    assert {loop.trips for loop in found.tiling.loops} == {1}
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


@pytest.mark.parametrize("objective", ["energy", "dram"])
def test_partial_sums_that_go_to_dram_by_hand(objective):
    """Half of the taps of two filters fit the weights' memory (8 words) and one pixel of two filters the sums' (2 words).

    So there are 4 x 2 x 2 tiles (pixels x filters x window), and the orders move these words through DRAM:

    ============================  ===========  ============  ======================  =======================
    order                         inputs (32)  weights (32)  sums (16), both ways    bits
    ============================  ===========  ============  ======================  =======================
    window innermost              x 2 filters  x 4 pixels    0                       8 (64 + 128) = 1536
    filters innermost             x 1          x 4 pixels    once out, once back 32  8 (32 + 128) + 512 = 1792
    pixels innermost              x 2 filters  x 1           once out, once back 32  8 (64 + 32) + 512 = 1280
    the same, one fold at a time  x 2 filters  x 1           thrice each 96          8 (64 + 32) + 1536 = 2304
    ============================  ===========  ============  ======================  =======================

    The third is least. Without any reuse each of 4 x 8 x 4 = 128 taps would take its own input and weight.

    - Buffers: the array takes 4 x 8 inputs for each of 2 folds of filters, and 8 x 4 weights anew for each of 4 pixel tiles.
    - Sums: fold 1 of 4 writes 16; folds 2 and 3 read and write 16; fold 4 reads 16 and writes the outputs. Between folds 2
      and 3 the 16 are read to go to DRAM and written when they are back: 64 reads, 64 writes.
    - Cycles: 4 x 2 folds, each 4 times filled (2 + 2 + 2 - 2) and 4 pixels long.
    """
    on = machine("weight", 2, 2, double_buffered=False, input=1, weight=8 / 1024, output=2 * 2 / 1024)
    found = run(SPILLING, on, objective)
    assert {loop.dimension: (loop.trips, loop.tile) for loop in found.tiling.loops} == {
        "pixels": (4, 1), "filters": (2, 2), "window": (2, 4),
    }  # fmt: skip
    assert found.tiling.loops[-1].dimension == "pixels"
    assert words_by_level((*found.accesses, *output_traffic(SPILLING.output.words, SPILLING.output.bits, False))) == {
        ("dram", "input"): (64, 0, 8),
        ("dram", "weight"): (32, 0, 8),
        ("dram", "partial_sum"): (16, 16, 16),
        ("dram", "output"): (0, 16, 16),
        ("buffer", "input"): (64, 64, 8),
        ("buffer", "weight"): (128, 32, 8),
        ("buffer", "partial_sum"): (64, 64, 16),
        ("buffer", "output"): (16, 16, 16),
    }
    assert found.cycles == 8 * (4 * 4 + 4)


def test_energy_of_partial_sums_that_go_to_dram_by_hand():
    """The words above at 6 pJ a read and 5 pJ a write of a 16-bit word, two operands in one; DRAM at the table's price.

    Buffers: 6 (64 + 128) / 2 + 5 (64 + 32) / 2 for inputs and weights, (6 + 5) (64 + 16) for sums and outputs.
    """
    on = machine("weight", 2, 2, double_buffered=False, input=1, weight=8 / 1024, output=2 * 2 / 1024)
    cost = estimate(Trace("one", "hardware", (SPILLING,)), on, TABLE)
    parts = cost.energy_by_component()
    assert parts["buffer"] == pytest.approx(6 * 96 + 5 * 48 + 11 * 80)
    assert parts["dram"] == pytest.approx((1280 + 16 * 16) * TABLE.dram(on.dram.kind).energy_pj)


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
    # one fold is 2 x 2 weights of 8 bits beside two inputs: two words of 16 bits and one
    sizes = {"double_buffered": False, "input": 2 / 1024, "output": 1}
    with pytest.raises(HardwareError, match=r"buffers\.weight of .* the smallest, one fold, holds 4 weights of 8 bits"):
        run(SPILLING, machine("weight", 2, 2, weight=2 / 1024, **sizes))
    assert run(SPILLING, machine("weight", 2, 2, weight=4 / 1024, **sizes)).cycles
