"""The closed form of tiles in a pipeline against the slow twin: every tile visited, and time as events."""

from itertools import product

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim.arithmetic.geometry import Geometry
from addersim.hardware.dataflow.array_run import Beside, Placement
from addersim.hardware.dataflow.dispatch import layers_on_array
from addersim.hardware.dataflow.layer_on_array import LayersOnArray
from addersim.hardware.dataflow.row_costs import RowCosts
from addersim.hardware.dataflow.row_mapper import _KEPT
from addersim.hardware.dataflow.row_stationary import RowMapping, RowShape, count_rows, fetched
from addersim.hardware.dataflow.systolic_pipeline import Streams, TiledStage
from addersim.hardware.dataflow.tiling_costs import ORDERS, TileSizes, tiling_costs
from addersim.hardware.load import load_accelerator
from addersim.hardware.prices.csv_file import load_table
from addersim.hardware.prices.data_movement import MovementEnergy
from addersim.hardware.traffic import Access, Widths
from tests.unit.hardware.dataflow.test_systolic_mapper import AWAY, DATAFLOWS, machine
from tests.unit.hardware.dataflow.tile_walk import TileWalk, cut, pipeline
from tests.unit.hardware.traces import window


@st.composite
def tilings(draw):
    """A layer on an array, tile sizes, a loop order, and whether the stationary operand stays."""
    size = st.integers(1, 9)
    pixels, taps, filters, groups = draw(size), draw(size), draw(size), draw(st.integers(1, 3))
    on = machine(
        draw(st.sampled_from(DATAFLOWS)), draw(st.integers(1, 4)), draw(st.integers(1, 4)), overlapped=draw(st.booleans())
    )
    layer = window("w", pixels, taps, filters, inputs=pixels * taps * groups, groups=groups)
    (tiled,) = layers_on_array([(layer, AWAY)], on, 1)
    tile = [draw(st.integers(1, most)) for most in (pixels, filters, taps)]
    order = draw(st.integers(0, 5))
    lone = all(tile[place] <= tiled.fold_size[place] for place in range(3) if place != tiled.time)
    stays = draw(st.booleans()) if lone and ORDERS[order][-1] == tiled.time else False
    return tiled, tile, order, stays


def as_arrays(tiled, tile, stays):
    return LayersOnArray.of([tiled]).at(np.array([0])), TileSizes(*(np.array([one]) for one in tile), np.array([stays]))


@settings(max_examples=200, deadline=None)
@given(tilings())
def test_words_and_cycles_are_those_of_a_walk_over_all_tiles(tiling):
    tiled, tile, order, stays = tiling
    walk, cost = TileWalk(tiled, tile, ORDERS[order], stays), tiling_costs(*as_arrays(tiled, tile, stays))
    work, folds = tiled.work, cost.folds
    found = [
        int(np.broadcast_to(one, (6, 1))[order, 0])
        for one in (
            folds.cycles,
            folds.input_reads,
            folds.weight_reads,
            folds.partial_sums,
            cost.words.weight_fills,
            cost.words.spilled_sums,
        )
    ]
    sums = work.m * work.n * work.groups
    reads = [walk.reads["input"], walk.reads["weight"], walk.reads["sum"] - sums]
    assert found == [walk.cycles, *reads, walk.total("weight"), walk.total("back")]
    assert walk.total("away") == walk.total("back")
    assert walk.total("finished") == sums
    assert cost.words.input_fills[order, 0] == pytest.approx(walk.total("input") * cost.swept[0] / work.groups)


SECONDS = st.floats(0, 40, allow_subnormal=False)


@settings(max_examples=200, deadline=None)
@given(tilings(), st.lists(st.tuples(*(SECONDS,) * 7), min_size=1, max_size=2), SECONDS)
def test_cycles_of_a_stage_are_those_of_events(tiling, times, units):
    """With DRAM alone, and with a second level beside it: what is fetched again takes other times."""
    tiled, tile, order, stays = tiling
    layer, tiles = as_arrays(tiled, tile, stays)
    walk, work = TileWalk(tiled, tile, ORDERS[order], stays), tiled.work
    sums, streams, closed = work.m * work.n * work.groups, [], []
    for start, inputs, again, *of_words in times:
        weight, weight_again, back, finished = (one / 40 for one in of_words)
        names = {"input": inputs, "input again": again, "weight": weight, "weight again": weight_again}
        streams.append({"start": start, **names, "sum": back, "finished": finished})
        closed.append((start, inputs * work.groups, again * work.groups, weight, weight_again, back, finished * sums))
    busy = units / 20 * walk.cycles
    stage = TiledStage(layer, tiles, tuple(Streams(*(np.array([one]) for one in of)) for of in closed), np.array([busy]))
    assert stage.cycles(np.array([order]))[0] == pytest.approx(walk.stage_cycles(streams, busy))
    assert stage.ends()[0] <= stage.cycles(np.array([order]))[0] * (1 + 1e-12)


def test_tiles_in_a_pipeline_by_hand():
    """Two tiles of ten cycles that load 4 and store 3: 4, then 10 beside 4, then 10 beside 3, then 3."""
    assert pipeline(0, [10, 10], [4, 4], [3, 3]) == 4 + 10 + 10 + 3
    assert pipeline(1, [2, 2], [4, 4], [3, 3]) == 1 + 4 + 4 + 3 + 3  # DRAM is the slower one
    assert pipeline(0, [2, 2, 2], [4, 4, 4], [3, 3, 3]) == 4 + 4 + (3 + 4) + 3 + 3


@st.composite
def mappings(draw):
    """A layer and a mapping of rows."""
    kernel, groups = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    shape = RowShape(
        draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 5)), Geometry((kernel, kernel), groups=groups),
        (draw(st.integers(2, 5)), draw(st.integers(2, 4))),
    )  # fmt: skip
    sizes = (shape.outputs[0], shape.images, shape.filters, 1, shape.channels)
    strip, images, held, filters, channels = (draw(st.integers(1, most)) for most in sizes)
    return shape, RowMapping(strip, images, held, filters, channels, 1, 1, *draw(st.sampled_from(_KEPT)))


@settings(max_examples=100, deadline=None)
@given(mappings(), st.booleans(), st.sampled_from((0.02, 0.3, 5.0)))
def test_blocks_of_rows_take_the_cycles_of_events(drawn, on_chip, bandwidth):
    shape, mapping = drawn
    eyeriss = load_accelerator("eyeriss-65nm")
    on = msgspec.structs.replace(
        eyeriss, buffers=msgspec.structs.replace(eyeriss.buffers, double_buffered=True),
        dram=msgspec.structs.replace(eyeriss.dram, bandwidth_gb_s=bandwidth),
    )  # fmt: skip
    beside = Beside((Access("dram", "weight", 10, 0, 16), Access("dram", "output", 0, shape.sums, 16)))
    costs = RowCosts(
        shape,
        Widths(16, 16, 16),
        0,
        Placement(on_chip, False),
        beside,
        on,
        "latency",
        MovementEnergy(on, load_table("eyeriss-65nm")),
    )
    arrays = RowMapping(
        mapping.strip, *(np.array([one]) for one in (mapping.images, mapping.held, mapping.filters, mapping.channels, 1, 1)),
        mapping.input_kept, mapping.weight_kept,
    )  # fmt: skip
    busy = max(int(count_rows(shape, mapping).cycles), int(np.max(costs._units(costs._accesses(arrays)))))
    compute, load, store = rows_as_events(shape, mapping, busy, 16 / on.dram_bits_per_cycle, on_chip)
    expected = pipeline(160 / on.dram_bits_per_cycle, compute, load, store)
    cycles, bound = costs.values(arrays)[2, 0], costs.values(arrays, exact=False)[2, 0]
    assert bound <= cycles
    assert cycles == pytest.approx(expected, abs=1)


def rows_as_events(shape, mapping, busy, word, on_chip):
    """What each block of a mapping computes, loads and stores, in the order of its loops."""
    sizes = {"held": shape.filters, "strip": shape.outputs[0], "image": shape.images, "channel": shape.channels}
    tile = {"held": mapping.held, "strip": mapping.strip, "image": mapping.images, "channel": mapping.channels}
    cuts = {name: list(enumerate(cut(size, tile[name]))) for name, size in sizes.items()}
    order = ("strip", "image", "held", "channel") if mapping.input_kept == "strip" else ("held", "strip", "image", "channel")
    inputs, weights = fetched(shape, mapping)
    visits = len(cuts["held"]) if mapping.input_kept == "pass" else 1
    per_group = int(inputs) / shape.geometry.groups / visits * (not on_chip)
    seen, compute, load, store = {}, [], [], []
    for group, *turns in product(range(shape.geometry.groups), *(cuts[name] for name in order)):
        at = dict(zip(order, turns, strict=True))
        part = {name: size / sizes[name] for name, (_, size) in at.items()}
        keys = {
            "pass": (group, *turns), "strip": (group, at["strip"], at["image"]), "held": (group, at["held"]), "all": (group,),
        }  # fmt: skip
        arriving = 0
        if seen.get("input") != keys[mapping.input_kept]:
            shares = {"pass": ("strip", "image", "channel"), "strip": ("strip", "image"), "all": ()}[mapping.input_kept]
            arriving += per_group * word * np.prod([part[name] for name in shares])
        if seen.get("weight") != keys[mapping.weight_kept]:
            shares = {"pass": ("held", "channel"), "held": ("held",), "all": ()}[mapping.weight_kept]
            arriving += shape.weights * word * np.prod([part[name] for name in shares])
        seen = {"input": keys[mapping.input_kept], "weight": keys[mapping.weight_kept]}
        whole = part["held"] * part["strip"] * part["image"] / shape.geometry.groups
        load.append(arriving)
        compute.append(busy * whole * part["channel"])
        store.append(shape.sums * word * whole * (at["channel"][0] == len(cuts["channel"]) - 1))
    assert sum(compute) == pytest.approx(busy)
    assert sum(load) == pytest.approx(((0 if on_chip else int(inputs)) + int(weights)) * word)
    return compute, load, store
