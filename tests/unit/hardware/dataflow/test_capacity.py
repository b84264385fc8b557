"""Capacity for tiles, and the pixels under them, by hand."""

import msgspec
import pytest

from addersim.arithmetic.geometry import Geometry
from addersim.hardware.dataflow.capacity import BufferCapacity, tile_words
from addersim.hardware.dataflow.dispatch import layers_on_array
from addersim.hardware.dataflow.footprint import Footprint
from addersim.hardware.dataflow.layer_on_array import LayersOnArray
from addersim.hardware.dataflow.tile_candidates import all_sizes, pairs_that_fit, smallest_tile
from addersim.hardware.traffic import Widths
from addersim.trace import MatrixWork, Operand
from tests.unit.hardware.dataflow.test_systolic_mapper import AWAY, machine
from tests.unit.hardware.traces import window

WIDTHS = Widths(8, 8, 24)  # two inputs or weights in a word of 16 bits; two words a sum
APART, UNIFIED = (
    machine("weight").buffers,
    machine("weight", unified=1).buffers,
)  # memories of 512 words, half of them for a tile


def test_what_a_tile_may_take_of_a_memory():
    keeping = msgspec.structs.replace(APART, keep_activations=True)
    waiting = msgspec.structs.replace(APART, double_buffered=False)
    assert [tile_words(APART, name) for name in ("input", "weight", "output")] == [256, 256, 256]
    assert [tile_words(waiting, name) for name in ("input", "weight", "output")] == [512, 512, 512]
    assert [tile_words(keeping, name) for name in ("input", "weight", "output")] == [
        128,
        256,
        128,
    ]  # weights are not activations


CAPACITIES = [
    # memories, input kept, what fits and one word more, memory that is then too small
    (APART, False, (512, 0, 0), (513, 0, 0), "input"),
    (APART, False, (512, 512, 128), (512, 512, 129), "output"),
    (APART, False, (0, 512, 0), (0, 513, 0), "weight"),
    (APART, True, (10**6, 512, 0), (10**6, 513, 0), "weight"),
    # three tiles in one memory each begin a word of their own: 254 words are left
    (UNIFIED, False, (508, 0, 0), (509, 0, 0), "unified"),
    (UNIFIED, False, (200, 108, 50), (200, 109, 50), "unified"),
    # an input that is there already takes no room: two tiles, 255 words
    (UNIFIED, True, (10**6, 510, 0), (10**6, 511, 0), "unified"),
]


@pytest.mark.parametrize(("buffers", "kept", "most", "more", "name"), CAPACITIES)
def test_which_tiles_fit(buffers, kept, most, more, name):
    capacity = BufferCapacity.of(buffers, WIDTHS, kept)
    assert capacity.fits(*most)
    assert capacity.too_small(*most) is None
    assert not capacity.fits(*more)
    assert capacity.too_small(*more) == name


SMALLEST = [
    # dataflow, taps, words of input, weights and waiting sums of the smallest tile of 100 x 100 sums on 3 x 2 elements:
    # dimensions
    # up to 32 are cut to the last, larger ones into whole folds
    ("weight", 3, (1, 2, 0)),  # one fold along the window: its sums leave at once
    ("weight", 40, (3, 6, 2)),
    ("input", 40, (6, 3, 2)),
    ("output", 40, (3, 2, 0)),
]


@pytest.mark.parametrize(("dataflow", "taps", "held"), SMALLEST)
def test_sums_wait_only_where_several_folds_add_to_them(dataflow, taps, held):
    layer = window("w", 100, taps, 100, inputs=100 * taps)
    (on_array,) = layers_on_array([(layer, AWAY)], machine(dataflow), 1)
    assert smallest_tile(on_array) == held
    assert bool(on_array.adds_up) == (held[2] > 0)


HELD = [
    # m, n, k of a tile of 4 x 2 x 3, groups, words of input, weights and sums that one half of a memory holds
    ((4, 2, 3), 1, (6, 3, 4)),  # nothing is exchanged: half of 12, 6 and 8
    ((2, 2, 3), 1, (6, 3, 4)),  # the weights stay, inputs and sums do not
    ((4, 1, 3), 1, (6, 3, 4)),  # the inputs stay
    ((4, 2, 2), 1, (8, 4, 4)),  # the sums stay
    ((4, 2, 3), 2, (12, 6, 8)),  # another group follows
]


@pytest.mark.parametrize(("tile", "groups", "held"), HELD)
def test_what_stays_for_the_whole_layer_lies_in_both_halves(tile, groups, held):
    layer = window("w", 4, 3, 2, inputs=12 * groups, groups=groups)
    m, n, k = tile
    for doubled in (True, False):
        (on_array,) = layers_on_array([(layer, AWAY)], machine("output", double_buffered=doubled), 1)
        found = tuple(int(words) for words in on_array.held(m, n, k, m * n))
        assert found == (held if doubled else (m * k, n * k, m * n))


FOOTPRINTS = [
    # kernel, stride, padding, rows and columns, channels, words, shared, words of an output, words of a row beside
    ((3, 1, 0), 4, 2, 32, 28, 3, 6),  # 2 rows of 4 and 3 rows of 2, twice; 3 rows of 1; 3 rows of 2
    # windows three apart and two wide miss every third row and column: 6 of 8; neighbours share nothing
    ((2, 3, 0), 8, 1, 36, 0, 4, 0),
    ((2, 3, 1), 8, 1, 25, 0, 4, 0),  # one row of padding under the first: 5
    # as wide as they are apart: all but the last row, which no window reaches
    ((3, 3, 1), 9, 1, 64, 0, 9, 0),
    ((1, 2, 0), 5, 4, 36, 0, 1, 0),
]


@pytest.mark.parametrize(("moves", "side", "channels", "words", "shared", "per_output", "per_row"), FOOTPRINTS)
def test_pixels_under_windows(moves, side, channels, words, shared, per_output, per_row):
    kernel, stride, padding = moves
    geometry = Geometry((kernel, kernel), (stride, stride), (padding, padding))
    rows, columns = geometry.output_size(side, side)
    work = MatrixWork(rows * columns, kernel * kernel * channels, 2, geometry=geometry, image=(side, side))
    found = Footprint.of(work, Operand(side * side * channels, 8), 1)
    assert (found.words, found.shared, found.per_output, found.per_row) == (words, shared, per_output, per_row)
    assert found.overlap == max(0, kernel - stride)
    assert found.fetched(1, 1) == words
    assert found.fetched(2, 1) == min(words + shared, found.products)


@pytest.mark.parametrize(("kernel", "words"), [(3, 48), (1, 32)])
def test_a_cut_of_the_window_fetches_a_channel_twice_but_not_where_taps_are_channels(kernel, words):
    geometry = Geometry((kernel, kernel))
    rows, columns = geometry.output_size(4, 4)
    work = MatrixWork(rows * columns, kernel * kernel * 2, 2, geometry=geometry, image=(4, 4))
    assert Footprint.of(work, Operand(32, 8), 1).fetched(1, 2) == words


def test_words_of_an_unknown_geometry_are_not_shared():
    """Ten stored words under 6 x 4 operands: no window is known, so that a cut of the taps fetches none of them twice."""
    found = Footprint.of(MatrixWork(6, 4, 2), Operand(10, 8), 1)
    assert [found.fetched(pixels, taps) for pixels, taps in ((1, 1), (1, 2), (2, 1))] == [10, 10, 10]


@pytest.mark.parametrize("dataflow", ["output", "weight", "input"])
def test_tiles_of_layers_looked_at_together_are_those_of_each_alone(dataflow):
    """Windows of layers of other sizes, most of which memories of 1 KiB cut."""
    works = [(64, 1152, 16), (196, 25, 6), (1, 3000, 120), (50, 147, 64)]
    layers = [(window(f"conv{k}", m, k, n, m * k), AWAY) for m, k, n in works]
    on_array = layers_on_array(layers, machine(dataflow), 1)

    def tiles_of(some):
        (found,) = pairs_that_fit(LayersOnArray.of(some), all_sizes(some))
        tiles, index = found
        return [*zip(index.tolist(), *(column.tolist() for column in tiles), strict=True)]

    alone = [(place, *tile) for place, one in enumerate(on_array) for _, *tile in tiles_of([one])]
    assert tiles_of(on_array) == alone
    assert any(k < works[place][1] for place, _, _, k, _ in alone)
