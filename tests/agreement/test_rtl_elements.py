"""Every processing element in Verilog, compiled, beside the reference kernels: the same sums, clock by clock."""

import shutil

import numpy as np
import pytest

from addersim.arithmetic.fixed import FixedFormat, wrap
from addersim.kernels import reference
from addersim.rtl.compiled import compile_designs
from addersim.rtl.elements import CIRCUITS, Element, circuit_datapath, run_element, signed
from addersim.rtl.simulators import SIMULATORS, UNKNOWN, SimulatedModule
from addersim.rtl.sources import PRODUCTS, product_words, sources_text
from addersim.rtl.tools import yosys_candidates
from tests.unit.multipliers import arbitrary

pytestmark = pytest.mark.skipif(
    not any(one.headers for one in yosys_candidates()), reason="no yosys with the headers of its CXXRTL runtime"
)

MILLION = 1_000_000
WIDTHS = (2, 4, 8, 16)
FILTERS = 16
OF_OPERANDS = [name for name in CIRCUITS if not name.startswith("table")]


def elements(circuit):
    """One of each width and sign of the input, and one of each with unsigned weights; each of a narrow register."""
    codec = circuit_datapath(circuit).arithmetic.codec
    if circuit == "xnor":
        return [Element(circuit, 1, 1, accumulator_bits=8)]
    if codec.uniform:
        shapes = [(bits, bits, signs, True) for bits in WIDTHS for signs in (True, False)]
        shapes += [(4, 4, True, False), (4, 4, False, False), (3, 5, True, True), (5, 3, False, True)]
    else:
        shapes = [(bits, codec.most, signs, True) for bits in WIDTHS for signs in (True, False)]
        shapes += [(8, bits, True, True) for bits in range(codec.fewest, codec.most)]
    return [
        Element(circuit, bits, of_weight, input_signed, weight_signed, accumulator_bits=accumulator(circuit, bits, of_weight))
        for bits, of_weight, input_signed, weight_signed in shapes
    ]


def accumulator(circuit, bits, of_weight):
    """A register that some twenty terms overflow now and then."""
    arithmetic = circuit_datapath(circuit).arithmetic
    high = 1 << (bits - 1)
    low, most = arithmetic.ends((-high, high), (-arithmetic.codec.largest(of_weight), arithmetic.codec.largest(of_weight)))
    return max(8, max(-low, most).bit_length() + 2)


def both(element):
    """The element as it wraps and as it saturates."""
    return [
        Element(**{name: getattr(element, name) for name in element.__slots__} | {"saturate": how}) for how in (False, True)
    ]


def drawn(random, low, high, shape):
    """Codes between two ends, the ends and zero more often than the rest; a third of the rows holds little but one end."""
    ends = np.array([low, high, min(max(0, low), high)])
    mixed = np.where(random.random(shape) < 0.2, random.choice(ends, shape), random.integers(low, high, shape, endpoint=True))
    rows = random.integers(0, 6, (shape[0], 1))
    return np.where((rows < 2) & (random.random(shape) < 0.9), ends[rows % 2], mixed)


def code_ends(bits, is_signed):
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if is_signed else (0, (1 << bits) - 1)


def held_in(values, is_signed):
    return values.astype(np.int16 if is_signed else np.uint16)


def operands(element, random, images, taps):
    """Values of inputs (images, taps) and weights (FILTERS, taps), and their stored codes."""
    codec = circuit_datapath(element.circuit).arithmetic.codec
    if element.circuit == "xnor":
        x, w = (2 * drawn(random, 0, 1, (rows, taps)) - 1 for rows in (images, FILTERS))
        return x, w, (x < 0).astype(np.int64), (w < 0).astype(np.int64)
    x = drawn(random, *code_ends(element.input_bits, element.input_signed), (images, taps))
    if codec.uniform:
        w = drawn(random, *code_ends(element.weight_bits, element.weight_signed), (FILTERS, taps))
    else:
        levels = np.array(codec.levels(element.weight_bits))
        values = np.unique(np.concatenate([levels, -levels]))
        w = values[drawn(random, 0, len(values) - 1, (FILTERS, taps))]
    return x, w, x & ((1 << element.input_bits) - 1), codec.stored(w, element.weight_bits)


def differing(wrapping, modules, random, vectors):
    """Sums that differ from the reference kernel's, and clocks whose register differs from the definition, of each module."""
    arithmetic = circuit_datapath(wrapping.circuit).arithmetic
    taps = 20 if wrapping.accumulator_bits > 8 else 400
    images = -(-vectors // (FILTERS * taps))
    x, w, x_codes, w_codes = operands(wrapping, random, images, taps)
    first = np.tile(np.arange(taps) == 0, images * FILTERS)
    streams = (np.repeat(x_codes, FILTERS, axis=0).ravel(), np.tile(w_codes, (images, 1)).ravel(), first)
    terms = np.asarray(arithmetic.term(x[:, None, :], w[None, :, :])).reshape(-1, taps)
    for element, module in zip(both(wrapping), modules, strict=True):
        run = run_element(module, *streams)
        assert not run.get(UNKNOWN, np.zeros(1)).any()
        found = signed(run["sum"], element.accumulator_bits).reshape(-1, taps)
        overflow = "saturate" if element.saturate else "wrap"
        expected = reference.window(
            held_in(x, element.input_signed)[:, None, None, :],
            held_in(w, element.weight_signed)[:, None, None, :],
            arithmetic=arithmetic.name,
            accumulator_bits=element.accumulator_bits,
            overflow=overflow,
        )
        assert expected.overflowed, "the register is to overflow now and then"
        yield (
            element,
            np.count_nonzero(found[:, -1] != expected.values.reshape(-1))
            + np.count_nonzero(found != by_definition(terms, element)),
        )


def by_definition(terms, element):
    held = np.zeros(len(terms), np.int64)
    end = 1 << (element.accumulator_bits - 1)
    after = []
    for term in terms.T:
        held = np.clip(held + term, -end, end - 1) if element.saturate else wrap(held + term, element.accumulator_bits)
        after.append(held)
    return np.stack(after, axis=1)


@pytest.mark.parametrize("circuit", OF_OPERANDS)
def test_elements_equal_the_reference(circuit):
    """A million vectors at least for each width of the input, as it wraps and as it saturates."""
    wrapping = elements(circuit)
    designs = [one.design() for element in wrapping for one in both(element)]
    modules = compile_designs(designs, sources_text())
    random = np.random.default_rng(7)
    share = MILLION if circuit == "xnor" else MILLION // 2
    for place, element in enumerate(wrapping):
        vectors = share if element.input_bits in WIDTHS else 50_000
        for one, wrong in differing(element, modules[2 * place : 2 * place + 2], random, vectors):
            assert wrong == 0, f"{one}: {wrong} of {vectors} differ"


def by_table(element, table, random):
    """All pairs of operands, as stored, each a sum; and what the multiplier makes of them."""
    formats = FixedFormat(element.input_bits, element.input_signed), FixedFormat(element.weight_bits, element.weight_signed)
    codes = np.meshgrid(*(np.arange(one.minimum, one.maximum + 1) for one in formats))
    x, w = random.permutation(np.stack([one.reshape(-1) for one in codes], axis=1)).T
    stored = x & ((1 << element.input_bits) - 1), w & ((1 << element.weight_bits) - 1), np.ones(len(x), bool)
    return stored, table.by_bytes(*formats)[x & 255, w & 255]


@pytest.mark.parametrize("is_signed", [True, False])
def test_elements_of_tables_equal_the_multiplier(is_signed):
    """All products of any numbers: of bytes compiled, and some of them in Icarus Verilog; of fewer bits there, where it is."""
    circuit = "table" if is_signed else "table_magnitude"
    table, random = arbitrary(3, signed=is_signed), np.random.default_rng(8)
    shapes = ((8, 8, True), (7 if is_signed else 8, 5, False))
    chosen = [Element(circuit, bits, of_weight, signs, accumulator_bits=32) for bits, of_weight, signs in shapes]
    verilog = sources_text() | {PRODUCTS: product_words(table.by_operands(FixedFormat(8), FixedFormat(8)))}
    simulates = shutil.which("iverilog") is not None
    modules = compile_designs([one.design() for one in chosen[: 1 if simulates else 2]], verilog)
    runs = list(zip(chosen, modules, (1 << 16, 1 << 16), strict=False))
    if simulates:
        simulated = [SimulatedModule("icarus", one.design(), verilog) for one in chosen]
        runs += zip(chosen, simulated, (500, 1 << 16), strict=True)
    assert {element for element, *_ in runs} == set(chosen)
    for element, module, most in runs:
        stored, expected = by_table(element, table, random)
        found = run_element(module, *(words[:most] for words in stored))
        assert np.array_equal(signed(found["sum"], 32), expected[:most])


@pytest.mark.parametrize(
    ("simulator", "vectors"), [("icarus", 1000), pytest.param("verilator", 100_000, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("circuit", OF_OPERANDS)
def test_simulators_confirm_the_elements(simulator, vectors, circuit):
    """Against the reference too, with no bit unknown."""
    if any(shutil.which(program) is None for program in SIMULATORS[simulator][0]):
        pytest.skip(f"no {simulator}")
    for element in elements(circuit)[-3:]:
        modules = [SimulatedModule(simulator, one.design(), sources_text()) for one in both(element)]
        assert all(not wrong for _, wrong in differing(element, modules, np.random.default_rng(9), vectors))


def test_a_width_that_is_one_bit_short_is_seen():
    """The same comparison is red where the Verilog drops the first bit of a term."""
    verilog = sources_text()
    changed = verilog["tap.v"].replace("      : 1 + COMMON;", "      : COMMON;")
    assert changed != verilog["tap.v"]
    element = Element("l1_2a", 8, 8, accumulator_bits=11)
    modules = compile_designs([one.design() for one in both(element)], verilog | {"tap.v": changed})
    assert all(wrong for _, wrong in differing(element, modules, np.random.default_rng(7), 10_000))
