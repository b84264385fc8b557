"""Row stationary mapping: the closed form against a walk over its loops, bounds of the words that move, the search."""

import random
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from addersim.arithmetic.geometry import Geometry
from addersim.errors import HardwareError
from addersim.hardware.dataflow import row_mapper
from addersim.hardware.dataflow.row_mapper import RowArray, row_mapping
from addersim.hardware.dataflow.row_stationary import RowMapping, RowShape, count_rows, fetched, footprints
from addersim.hardware.traffic import Widths
from tests.unit.hardware.dataflow.normalised import Normalised
from tests.unit.hardware.dataflow.row_walk import RowWalk

EYERISS = RowArray(rows=12, columns=14, input_words=12, weight_words=224, sum_words=24)
WORDS = Widths(16, 16, 16)


def room(words):
    return lambda *held: sum(held) <= words


@st.composite
def shapes(draw, largest):
    size, pairs = st.integers(1, largest), st.tuples(st.integers(1, 3), st.integers(1, 3))
    geometry = Geometry(
        kernel=draw(pairs),
        stride=draw(pairs),
        padding=(draw(st.integers(0, 1)), draw(st.integers(0, 1))),
        dilation=(draw(st.integers(1, 2)), draw(st.integers(1, 2))),
        groups=draw(st.integers(1, 2)),
        far_padding=draw(st.none() | st.tuples(st.integers(0, 2), st.integers(0, 2))),
    )
    reach = [geometry.dilation[axis] * (geometry.kernel[axis] - 1) + 1 - sum(geometry.sides(axis)) for axis in (0, 1)]
    image = (max(draw(size), reach[0], 1), max(draw(size), reach[1], 1))
    return RowShape(draw(st.integers(1, 3)), draw(size), draw(size), geometry, image)


@st.composite
def mappings(draw, shape):
    limits = (shape.outputs[0], shape.images, shape.filters, 3, 3, 2, 2)
    kept = draw(st.sampled_from(row_mapper._KEPT))
    return RowMapping(*(draw(st.integers(1, limit)) for limit in limits), *kept)


def moved(shape, mapping):
    inputs, weights = fetched(shape, mapping)
    return asdict(count_rows(shape, mapping)) | {"dram_inputs": inputs, "dram_weights": weights}


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_the_closed_form_equals_a_walk_over_the_loops(data):
    shape = data.draw(shapes(4))
    mapping = data.draw(mappings(shape))
    walked = RowWalk(shape, mapping)
    assert moved(shape, mapping) == walked.moved
    assert len(walked.taps) == shape.taps
    assert len(walked.summed) == shape.sums


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_words_lie_between_unique_and_no_reuse(data):
    shape = data.draw(shapes(9))
    mapping = data.draw(mappings(shape))
    inputs, weights = fetched(shape, mapping)
    pixels = shape.reach(0, shape.outputs[0]).stored * shape.reach(1, shape.outputs[1]).stored
    planes = shape.images * shape.geometry.groups * shape.channels
    assert planes * pixels <= inputs <= shape.taps
    assert shape.geometry.groups * shape.weights <= weights <= shape.taps
    found = count_rows(shape, mapping)
    assert found.input_reads <= found.network_inputs <= shape.taps
    assert found.weight_reads <= found.network_weights <= shape.taps
    assert found.cycles * mapping.strip * shape.geometry.kernel[0] * mapping.filter_sets * mapping.channel_sets >= shape.taps


def feasible(shape, array, mapping):
    kernel_rows, kernel_columns = shape.geometry.kernel
    used = mapping.filter_sets * mapping.channel_sets
    return (
        used <= array.sets(kernel_rows, mapping.strip)
        and mapping.channels * kernel_columns <= array.input_words
        and mapping.filters * mapping.channels * kernel_columns <= array.weight_words
        and mapping.filters <= array.sum_words
    )


@settings(max_examples=40, deadline=None)
@given(shapes(9), st.integers(100, 2000), st.sampled_from(["energy-delay", "energy", "latency", "dram"]))
def test_the_search_respects_array_scratchpads_and_buffers(shape, words, objective):
    small = RowArray(rows=5, columns=4, input_words=7, weight_words=20, sum_words=6)
    fits = room(words)
    mapping = row_mapping(shape, small, fits, Normalised(shape, WORDS, objective))
    assert feasible(shape, small, mapping)
    assert fits(*footprints(shape, mapping))
    taken = count_rows(shape, mapping).cycles * small.rows * small.columns
    assert taken >= shape.taps
    assert mapping == row_mapping(shape, small, fits, Normalised(shape, WORDS, objective))


@settings(max_examples=20, deadline=None)
@given(shapes(12), st.integers(150, 800), st.integers(0, 3000))
def test_larger_buffers_never_cost_more(shape, words, more):
    for objective in ("dram", "energy", "latency", "energy-delay"):
        found = []
        for size in (words, words + more):
            mapping = row_mapping(shape, EYERISS, room(size), Normalised(shape, WORDS, objective))
            found.append(float(Normalised(shape, WORDS, objective).values(mapping)[0]))
        assert found[1] <= found[0], objective


def exhaustive(shape, array, fits):
    """DRAM words of the best of all mappings whatever, not only of those that the search tries."""
    best = None
    limits = (shape.outputs[0], shape.images, shape.filters)
    for strip in range(1, limits[0] + 1):
        for images in range(1, limits[1] + 1):
            for held in range(1, limits[2] + 1):
                for kept in row_mapper._KEPT:
                    mapping = RowMapping(strip, images, held, 1, 1, 1, 1, *kept)
                    if array.sets(shape.geometry.kernel[0], strip) and fits(*footprints(shape, mapping)):
                        words = sum(fetched(shape, mapping))
                        best = words if best is None else min(best, words)
    return best


@pytest.mark.parametrize("examples", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_the_search_for_dram_words_finds_the_best_of_all(examples):
    @settings(max_examples=examples, deadline=None)
    @given(shapes(8), st.integers(80, 600))
    @example(RowShape(2, 5, 5, Geometry((2, 1), far_padding=(2, 0)), (3, 5)), 153)  # the last rows read padding alone
    def check(shape, words):
        mapping = row_mapping(shape, EYERISS, room(words), Normalised(shape, WORDS, "dram"))
        assert sum(fetched(shape, mapping)) == exhaustive(shape, EYERISS, room(words))

    check()


def least_of_all(shape, array, fits, objective):
    """Least score of every mapping that fits array, scratchpads and buffers."""
    best, kernel_columns = np.inf, shape.geometry.kernel[1]
    for strip in range(1, shape.outputs[0] + 1):
        sets = array.sets(shape.geometry.kernel[0], strip)
        limits = (shape.images, shape.filters, array.sum_words, array.input_words // kernel_columns, sets, sets)
        grid = np.meshgrid(*(range(1, limit + 1) for limit in limits), indexing="ij")
        filters, channels, filter_sets, channel_sets = grid[2:]
        works = (filter_sets * channel_sets <= sets) & (filters * channels * kernel_columns <= array.weight_words)
        mapping = RowMapping(strip, *(axis[works] for axis in grid))
        for input_kept, weight_kept in row_mapper._KEPT:
            option = replace(mapping, input_kept=input_kept, weight_kept=weight_kept)
            score = Normalised(shape, WORDS, objective).values(option)[0]
            best = min(best, np.where(fits(*footprints(shape, option)), score, np.inf).min(initial=np.inf))
    return best


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("objective", ["energy-delay", "energy", "latency"])
def test_the_search_comes_within_5_percent_of_the_best_of_all(objective, seed):
    draw, array = random.Random(seed), RowArray(rows=4, columns=4, input_words=6, weight_words=24, sum_words=6)
    kernel = draw.choice((1, 2, 3))
    image = (draw.randint(3, 5), draw.randint(3, 5))
    shape = RowShape(2, draw.randint(1, 4), draw.randint(1, 6), Geometry((kernel, kernel), padding=(1, 1)), image)
    fits = room(draw.randint(200, 900))
    mapping = row_mapping(shape, array, fits, Normalised(shape, WORDS, objective))
    found = float(Normalised(shape, WORDS, objective).values(mapping)[0])
    assert 1 <= found / least_of_all(shape, array, fits, objective) <= 1.05


@pytest.mark.parametrize(
    ("shape", "pieces"),
    [
        (RowShape(1, 1, 1, Geometry((3, 3), padding=(1, 1), groups=32), (28, 28)), "depthwise"),
        (RowShape(1, 512, 256, Geometry((1, 1)), (14, 14)), "1x1"),
        (RowShape(1, 64, 128, Geometry((1, 1), (2, 2)), (56, 56)), "1x1 that skips pixels"),
        (RowShape(4, 9216, 1000, Geometry((1, 1)), (1, 1)), "linear"),
        (RowShape(1, 3, 64, Geometry((7, 7), (2, 2), (3, 3)), (224, 224)), "stride 2"),
    ],
)
def test_layers_of_every_kind_run(shape, pieces):
    mapping = row_mapping(shape, EYERISS, room(55_296), Normalised(shape, WORDS))
    found = count_rows(shape, mapping)
    assert shape.taps <= found.cycles * 168, pieces
    inputs, _ = fetched(shape, mapping)
    if shape.geometry.stride == (2, 2) and shape.geometry.kernel == (1, 1):
        assert inputs == 64 * 28 * 28  # three quarters of the pixels are never read


def test_a_wide_set_stands_in_parts_above_each_other():
    assert EYERISS.sets(5, 27) == 1
    assert EYERISS.sets(5, 14) == 2
    assert EYERISS.sets(3, 13) == 4
    assert EYERISS.sets(11, 7) == 2
    assert EYERISS.sets(3, 57) == 0


def test_an_input_on_chip_costs_no_dram_words():
    shape = RowShape(1, 64, 512, Geometry((3, 3), padding=(1, 1)), (14, 14))
    mapping = row_mapping(shape, EYERISS, room(8192), Normalised(shape, WORDS, "dram", input_on_chip=True))
    assert fetched(shape, mapping)[1] == shape.weights


@pytest.mark.parametrize(
    ("kernel", "array", "words", "message"),
    [
        (
            (13, 3),
            EYERISS,
            10**6,
            "a kernel of 13 rows is taller than the row stationary array of 12 rows; "
            "take an array of at least 13 rows, or another dataflow",
        ),
        (
            (3, 13),
            EYERISS,
            10**6,
            "a kernel row of 13 taps does not fit the input scratchpad of 12 words; "
            "enlarge it to at least 13, or take another dataflow",
        ),
        (
            (3, 3),
            replace(EYERISS, weight_words=2),
            10**6,
            "a kernel row of 3 taps does not fit the weight scratchpad of 2 words; "
            "enlarge it to at least 3, or take another dataflow",
        ),
        (
            (3, 3),
            replace(EYERISS, sum_words=0),
            10**6,
            "the sum scratchpad holds no word of the accumulator; enlarge it",
        ),
        (
            (3, 3),
            EYERISS,
            60,
            "the buffers do not hold one row stationary pass: at least 60 inputs of 16 bits, 9 weights of 16 "
            "and 18 sums of 16 at a time; enlarge them",
        ),
    ],
)
def test_what_cannot_run_is_refused(kernel, array, words, message):
    shape = RowShape(1, 2, 2, Geometry(kernel), (20, 20))
    with pytest.raises(HardwareError) as found:
        row_mapping(shape, array, room(words), Normalised(shape, WORDS))
    assert str(found.value) == message


@pytest.mark.parametrize(("channels", "sums"), [(2, 18), (1, 72)])
def test_sums_of_all_held_filters_wait_only_where_a_pass_leaves_channels_out(channels, sums):
    """Strips of 3 x 3 outputs, two filters a pass, eight held: 2 x 9 sums, or 8 x 9 where a channel comes later."""
    shape = RowShape(1, 2, 8, Geometry((3, 3)), (5, 5))
    mapping = RowMapping(strip=3, images=1, held=8, filters=2, channels=channels, filter_sets=1, channel_sets=1)
    assert footprints(shape, mapping)[2] == sums
