"""The mapper against a slow twin that walks every tile loop, and properties that no mapping may break."""

from itertools import pairwise, permutations, product
from math import ceil

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim.errors import HardwareError
from addersim.geometry import Geometry
from addersim.hardware import load_accelerator, load_table
from addersim.hardware.array import array_problem, run_on_array
from addersim.hardware.footprint import Footprint
from addersim.hardware.mapper import DIMENSIONS
from addersim.hardware.mapping import Placement
from addersim.hardware.memory import ArrayWords, array_accesses, output_accesses
from addersim.hardware.movement import MovementPrices
from addersim.trace import MatrixWork
from tests.unit.hardware_traces import window

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
    return run_on_array(layer, on, batch, placement, MovementPrices(on, TABLE), objective)


def even(size, parts):
    return [size * (part + 1) // parts - size * part // parts for part in range(parts)]


def walk(problem, trips, order):
    """Slow twin: every tile of one group is visited in order; what is not the tile before is fetched, sums come and go."""
    units = [even(folds, number) for folds, number in zip(problem.folds, trips, strict=True)]
    array, held = problem.array, {}
    held_dimensions = [dimension for dimension in range(3) if dimension != problem.streamed]
    lone = all(trips[dimension] == problem.folds[dimension] for dimension in held_dimensions)
    stays = lone and order[-1] == problem.streamed
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
        fill = (array.rows if problem.streamed == 2 else 2 * array.rows) + array.columns - 2
        new = not stays or at[problem.streamed] == 0
        cycles += sides[0] * sides[1] * (fill * new + units[problem.streamed][at[problem.streamed]])
    parts = 1 if stays else trips[problem.streamed]
    share = {"input": trips[0] * trips[2], "weight": trips[2] * trips[1], "sum": trips[0] * trips[1]}
    passes = {operand: ceil(number / share[operand]) for operand, number in fetched.items()}
    return passes, parts, cycles * problem.work.groups


def tile_fits(problem, trips, parts):
    """Whether the largest tile fits the memories."""
    pixels, filters, taps = (
        min(size, max(even(folds, number)) * unit)
        for folds, number, unit, size in zip(problem.folds, trips, problem.units, problem.sizes, strict=True)
    )
    waiting = parts > 1 if problem.streamed == 2 else problem.folds[2] > 1
    return problem.room.fits(int(problem.footprint.of_tile(pixels, taps)), taps * filters, pixels * filters * waiting)


def all_mappings(layer, on, placement=AWAY, batch=1):
    """(energy, cycles, bits) of every cut and order that fits, by the walk."""
    problem, prices = array_problem(layer, on, batch, placement), MovementPrices(on, TABLE)
    work = problem.work
    outputs = output_accesses(layer, batch, placement.output_kept)
    for trips in product(*(range(1, folds + 1) for folds in problem.folds)):
        for order in permutations(range(3)):
            passes, parts, cycles = walk(problem, trips, order)
            if not tile_fits(problem, trips, parts):
                continue
            folds_m, folds_n, folds_k = problem.folds
            reads = {
                "output": (folds_n, folds_m, parts), "weight": (folds_n, parts, folds_k), "input": (parts, folds_m, folds_k)
            }[on.array.dataflow]  # fmt: skip
            sums, groups = work.pixels * work.filters * work.groups, work.groups
            words = ArrayWords(
                inputs=int(problem.footprint.fetched(trips[0], trips[2])) * passes["input"] * groups,
                weights=work.window * work.filters * groups * passes["weight"],
                spilled=sums * passes["sum"],
                input_reads=work.pixels * work.window * groups * reads[0],
                weight_reads=work.window * work.filters * groups * reads[1],
                partial_sums=sums * (reads[2] - 1),
            )
            accesses = (*array_accesses(layer, words, placement.input_kept), *outputs)
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
    lambda kernel, stride, padding, size, channels, filters, groups: convolution(
        kernel, stride, min(padding, kernel - 1), max(size, kernel), channels, filters, groups
    ),
    st.integers(1, 3), st.integers(1, 2), st.integers(0, 1), st.integers(2, 4), st.integers(1, 3), st.integers(1, 5),
    st.integers(1, 2),
)  # fmt: skip


def convolution(kernel, stride, padding, size, channels, filters, groups=1, bits=8, known=True):
    geometry = Geometry((kernel, kernel), (stride, stride), (padding, padding), groups=groups)
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
    placement = Placement(kept, False)
    everything = list(all_mappings(layer, on, placement, batch))
    if not everything:
        with pytest.raises(HardwareError, match="the smallest, one fold, holds"):
            run(layer, on, objective, placement, batch)
        return
    found = run(layer, on, objective, placement, batch)
    accesses = (*found.accesses, *output_accesses(layer, batch, False))
    ours = costs(accesses, found.cycles, on, MovementPrices(on, TABLE))
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
    problem = array_problem(layer, on, batch, AWAY)
    taps, sums = layer.work.taps * batch, layer.output.words * batch
    unique = problem.footprint.words * layer.work.groups
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
    sizes = dict(zip(DIMENSIONS, (layer.work.pixels, layer.work.filters, layer.work.window), strict=True))
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
    assert (
        str(found.tiling) in {"filters 1 x 2, pixels 2 x 2, window 1 x 9", "pixels 2 x 2, filters 1 x 2, window 1 x 9"} or True
    )
    sums = [access for access in found.accesses if access.operand == "partial_sum"]
    assert [(access.level, access.reads) for access in sums] == [("buffer", 8 * 2)]


def test_a_mapping_says_its_loops_outermost_first():
    layer = convolution(1, 1, 0, 4, 3, 5)
    tiling = run(layer, machine("output", input=0.01, weight=0.01)).tiling
    assert str(tiling) == ", ".join(f"{loop.dimension} {loop.trips} x {loop.tile}" for loop in tiling.loops)
