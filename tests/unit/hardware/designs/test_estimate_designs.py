"""Many designs at once cost what each does alone: `estimate` is the slow twin."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as change

import addersim.hardware.designs.estimate_designs as module
from addersim import count, design_grid, estimate, estimate_designs, load_accelerator, load_network, quantize
from addersim.arithmetic.geometry import Geometry
from addersim.errors import ConfigError, HardwareError
from addersim.hardware.accelerator import Accelerator, RunLengthCoding
from addersim.hardware.designs.in_batch import InBatch
from addersim.trace import Operand, Trace
from tests.unit.hardware.test_mapping_properties import designs, stages
from tests.unit.hardware.traces import add, batch_norm, relu, small_residual_network, window

EDGE, UNIFIED, EYERISS = map(load_accelerator, ("systolic-16x16", "edge-unified-32x32", "eyeriss-65nm"))
ROUNDING = 1e-12
TABLE = "horowitz-45nm"


@st.composite
def networks(draw):
    """Stages one after another, around which a value may wait; the last one may be no window layer."""
    layers = []
    for number in range(draw(st.integers(1, 3))):
        first = len(layers)
        for one in draw(stages()).layers:
            read = (first - 1,) if one.sources else ()
            inputs = one.inputs
            if one.sources and layers:
                inputs = (Operand(layers[-1].output.words, inputs[0].bits),)
            layers.append(replace(one, name=f"{one.name}{number}", sources=read, inputs=inputs))
    if draw(st.booleans()):
        last = layers[-1].output
        layers.append(add("sum", last.words, (last, last), sources=(len(layers) - 1, len(layers) - 1)))
        layers.append(relu("end", last.words, (last,), sources=(len(layers) - 1,)))
    return Trace("network", "hardware", tuple(layers))


@st.composite
def grids(draw):
    """A grid around a random design: what it varies, a few values each."""
    base = draw(designs(dataflows=("output", "weight", "input")))
    keep = draw(st.sampled_from((None, False)))
    base = change(base, buffers=change(base.buffers, keep_weights=keep))
    axes = {
        "array.rows": st.integers(1, 40),
        "array.columns": st.integers(1, 40),
        "array.dataflow": st.sampled_from(("output", "weight", "input")),
        "buffers.*.capacity_kib": st.sampled_from((0.1, 0.25, 0.5, 1.0, 2.0, 8.0, 32.0, 256.0)),
        "buffers.*.banks": st.sampled_from((None, 1, 3)),
        "buffers.keep_activations": st.booleans(),
        "dram.bandwidth_gb_s": st.sampled_from((0.01, 0.1, 0.7, 3.2, 50.0)),
        "clock_mhz": st.sampled_from((100, 333.3, 1000)),
        "vector.lanes": st.integers(1, 20),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(axes)), min_size=2, max_size=3, unique=True))
    return design_grid(base, {axis: draw(st.lists(axes[axis], min_size=1, max_size=3, unique=True)) for axis in chosen})


def check(trace, machines, found, table=TABLE, **how):
    """Every row is what `estimate` gives, or refuses, of its design."""
    parts = found.energy_pj_by_component
    for place, machine in enumerate(machines):
        try:
            cost = estimate(trace, machine, table, **how)
        except HardwareError as error:
            assert found.errors[place] == str(error)
            figures = found.energy_pj, found.cycles, found.dram_bytes, found.cold_start_pj
            assert np.isnan([figure[place] for figure in figures]).all()
            continue
        assert place not in found.errors
        assert found.cycles[place] == cost.cycles
        assert found.dram_bytes[place] == cost.dram_bytes
        assert found.energy_pj[place] == pytest.approx(cost.energy_pj, rel=ROUNDING)
        assert found.latency_ms[place] == cost.latency_ms
        assert found.cold_start_pj[place] == pytest.approx(cost.cold_start.energy_pj if cost.cold_start else 0, rel=ROUNDING)
        own = cost.energy_by_component()
        for name, energies in parts.items():
            assert energies[place] == pytest.approx(own.get(name, 0.0), abs=ROUNDING * cost.energy_pj)


@settings(max_examples=60, deadline=None)
@given(networks(), grids())
def test_every_row_is_the_estimate_of_its_design(trace, machines):
    check(trace, machines, estimate_designs(trace, machines, TABLE))


@settings(max_examples=10, deadline=None)
@given(networks(), st.lists(designs(), min_size=2, max_size=6), st.sampled_from((TABLE, "aladdin-cacti-45nm")))
def test_designs_that_share_nothing(trace, machines, table):
    """Also where memories leak, so that each goes its own way."""
    check(trace, machines, estimate_designs(trace, machines, table), table)


def test_bundled_designs_with_a_network_that_fits_and_one_that_does_not():
    """LeNet's weights stay on chip, in a unified memory only where the whole gains."""
    for name in ("lenet5-adder", "lenet5-conv"):
        trace = count(quantize(load_network(name), None))
        for base in (EDGE, UNIFIED):
            grid = {
                "array.rows+array.columns": [4, 30],
                "buffers.*.capacity_kib": [4, 24, 100],
                "dram.bandwidth_gb_s": [0.1, 9],
            }
            machines = design_grid(base, grid)
            check(trace, machines, estimate_designs(trace, machines))


def test_layers_that_only_differ_in_their_inputs():
    """One product of two layers, of which the second reads fewer stored words: DRAM takes less time for it."""
    layers = []
    for number, (words, source) in enumerate(((32, -1), (20, 2))):
        layer = window(f"conv{number}", 4, 8, 5, words, bits=4, fused=True, sources=(source,))
        layer = replace(layer, work=replace(layer.work, geometry=Geometry((1, 1), (1, 1), (0, 0)), image=(2, 2)))
        layers += [layer, batch_norm(f"bn{number}", 20, 5, fused=True), relu(f"relu{number}", 20)]
    trace = Trace("twice", "hardware", tuple(layers))
    grid = {
        "array.rows": [3],
        "array.columns": [1],
        "buffers.unified.capacity_kib": [0.25, 0.5],
        "dram.bandwidth_gb_s": [0.1, 1],
    }
    machines = design_grid(change(UNIFIED, buffers=change(UNIFIED.buffers, keep_activations=False)), grid)
    machines = [change(one, array=change(one.array, dataflow=flow)) for one in machines for flow in ("output", "weight")]
    check(trace, machines, estimate_designs(trace, machines))


def test_those_that_run_in_batch_are_not_estimated_alone(monkeypatch):
    """Of a grid none, but those that are refused: once an array and memory, whatever the bandwidth."""
    asked = []
    monkeypatch.setattr(
        module, "estimate", lambda trace, machine, *how: asked.append(machine) or estimate(trace, machine, *how)
    )
    grid = {"array.rows": [8, 16], "buffers.*.capacity_kib": [0.01, 16], "dram.bandwidth_gb_s": [1, 2, 4]}
    trace, machines = small_residual_network(), design_grid(EDGE, grid)
    found = estimate_designs(trace, machines)
    assert [(one.array.rows, one.buffers.input.capacity_kib) for one in asked] == [(8, 0.01), (16, 0.01)]
    assert sorted(found.errors) == [0, 1, 2, 6, 7, 8]
    assert found.errors[0].startswith("layer conv1: accelerator 'systolic-16x16': buffers.input of 0.01 KiB")
    check(trace, machines, found)


@pytest.mark.parametrize("how", [{"batch": 3}, {"objective": "latency"}, {"objective": "dram"}])
def test_what_the_batch_does_not_take_goes_one_by_one(how):
    trace = small_residual_network()
    machines = [*design_grid(EDGE, {"array.rows": [4, 16], "dram.bandwidth_gb_s": [0.1, 6]}), EYERISS]
    found = estimate_designs(trace, machines, "eyeriss-65nm", **how)
    check(trace, machines, found, "eyeriss-65nm", **how)
    assert found.batches.tolist() == [how.get("batch", 1)] * 4 + [how.get("batch", 4)]


def test_which_designs_run_in_batch():
    """Nothing that is not known: a field that comes later does not, unless it has its default."""
    assert InBatch().takes(EDGE)
    assert InBatch().takes(UNIFIED)
    assert not InBatch(batch=2).takes(EDGE)
    assert not InBatch().takes(EYERISS)
    assert not InBatch().takes(change(EDGE, array=change(EDGE.array, sparsity="2:4")))
    assert not InBatch().takes(change(EDGE, array=change(EDGE.array, datapaths=("mac",))))
    assert not InBatch(batch=1).takes(change(EYERISS, batch=1))

    class Later(type(EDGE.buffers), frozen=True, kw_only=True):
        l3: int | None = None

    fields = {name: getattr(EDGE.buffers, name) for name in EDGE.buffers.__struct_fields__}
    assert not InBatch().takes(change(EDGE, buffers=Later(**fields)))

    class Gated(type(UNIFIED.buffers.unified), frozen=True, kw_only=True):
        gated: bool = False

    fields = {name: getattr(UNIFIED.buffers.unified, name) for name in UNIFIED.buffers.unified.__struct_fields__}
    assert not InBatch().takes(change(UNIFIED, buffers=change(UNIFIED.buffers, unified=Gated(**fields))))


L2 = change(EDGE.buffers.input, capacity_kib=256.0)
STATED = {"zero_share": 0.5, "zero_share_source": "made up"}
IDLE = {"idle_power_mw": 3.0, "idle_source": "made up"}


@pytest.mark.parametrize(
    ("part", "changes", "stated"),
    [
        ("buffers", {"l2": L2}, {}),
        ("array", {"zero_gating": True}, STATED),
        ("dram", {"run_length_coding": RunLengthCoding()}, STATED),
        ("array", IDLE, {}),
        ("dram", IDLE, {}),
        ("vector", {}, IDLE),
        ("vector", {}, STATED),
    ],
    ids=["l2", "zero_gating", "run_length_coding", "idle array", "idle dram", "idle", "zero_share"],
)
def test_what_only_single_estimates_know(part, changes, stated):
    """A second level, what zeros save and idle power: estimated one by one, beside designs that run in batch."""
    other = change(EDGE, **{part: change(getattr(EDGE, part), **changes)}, **stated)
    assert not InBatch().takes(other)
    trace = small_residual_network()
    machines = [one for base in (EDGE, other) for one in design_grid(base, {"dram.bandwidth_gb_s": [0.1, 6]})]
    check(trace, machines, estimate_designs(trace, machines))


def test_every_memory_of_the_first_level_and_all_memories():
    """A grid's * leaves a second level as it is; the memory of a design that rows tell is that of both levels."""
    base = change(EDGE, buffers=change(EDGE.buffers, l2=L2))
    machines = design_grid(base, {"buffers.*.capacity_kib": [8], "buffers.l2.banks": [2, 4]})
    assert [(one.buffers.l2.capacity_kib, one.buffers.l2.banks) for one in machines] == [(256, 2), (256, 4)]
    found = estimate_designs(small_residual_network(), machines)
    assert [row["memory_kib"] for row in found.to_rows()] == [3 * 8 + 256] * 2
    assert "280" in str(found)


def test_a_field_that_comes_later_keeps_a_design_out_of_the_batch(monkeypatch):
    from addersim.hardware.designs import in_batch

    known = dict(in_batch._KNOWN)
    known[Accelerator] = known[Accelerator] - {"about"}
    monkeypatch.setattr(in_batch, "_KNOWN", known)
    in_batch._unknown.cache_clear()
    try:
        assert not InBatch().takes(EDGE)
        assert InBatch().takes(change(EDGE, about=""))
    finally:
        in_batch._unknown.cache_clear()


def test_a_value_that_no_design_can_have_is_refused_at_once():
    trace = small_residual_network()
    with pytest.raises(HardwareError, match="objective: found 'speed', needs one of energy-delay, energy, latency, dram"):
        estimate_designs(trace, [EDGE], objective="speed")
    with pytest.raises(HardwareError, match="batch"):
        estimate_designs(trace, [EDGE], batch=0)


def test_a_missing_unit_energy_stands_in_the_row():
    trace = Trace("wide", "hardware", (window("w", 4, 4, 4, 16, bits=8),))
    dear = change(EDGE, dram=change(EDGE.dram, kind="tape"))
    found = estimate_designs(trace, [dear, EDGE])
    assert "tape" in found.errors[0]
    check(trace, [dear, EDGE], found)


def test_tables_and_pareto():
    trace = small_residual_network()
    machines = design_grid(
        EDGE, {"array.rows": [2, 16], "dram.bandwidth_gb_s": [0.5, 8], "buffers.*.capacity_kib": [0.01, 64]}
    )
    found = estimate_designs(trace, machines)
    frame = found.to_frame()
    assert len(frame) == 8
    assert frame["error"].notna().tolist() == [True, False] * 4
    assert frame["cycles"].dropna().tolist() == found.cycles[1::2].tolist()
    rows = found.to_rows()
    assert rows[0]["energy_pj"] is None
    assert isinstance(rows[1]["cycles"], int)
    best = found.pareto().tolist()
    for place in range(1, 8, 2):
        better = (found.energy_pj <= found.energy_pj[place]) & (found.latency_ms <= found.latency_ms[place])
        equal = (found.energy_pj == found.energy_pj[place]) & (found.latency_ms == found.latency_ms[place])
        assert (place in best) == (not (better & ~equal).any() and not equal[:place].any())
    assert "refused 4" in repr(found)
    assert str(found).splitlines()[0] == "small on 8 designs, prices of horowitz-45nm"
    assert estimate_designs(trace, []).to_rows() == []


def test_refusals_of_a_grid():
    with pytest.raises(ConfigError, match="grid: array.rows: found 0, needs a whole number in 1..65,536"):
        design_grid(EDGE, {"array.rows": [8, 0]})
    with pytest.raises(ConfigError, match="grid: unknown key array.side; known: rows, columns"):
        design_grid(EDGE, {"array.side": [8]})
    with pytest.raises(ConfigError, match="grid: 'array.rows': found an empty list, needs at least one value"):
        design_grid(EDGE, {"array.rows": []})
    with pytest.raises(ConfigError, match="grid: 100,000,000 designs; at most 10,000,000"):
        design_grid(EDGE, {"array.rows": range(10_000), "array.columns": range(10_000)})
    with pytest.raises(ConfigError, match="grid: 'name.first': 'name' is a value, no table"):
        design_grid(EDGE, {"name.first": ["a"]})


def test_what_a_grid_makes():
    """In the order of the fields; joined ones together; tables as a file has them; numpy's numbers as plain ones."""
    grid = {"array": {"rows": np.array([2, 4])}, "buffers.*.banks+vector.lanes": (1, 8), "clock_mhz": 100}
    machines = design_grid("systolic-16x16", grid)
    assert [(one.array.rows, one.vector.lanes) for one in machines] == [(2, 1), (2, 8), (4, 1), (4, 8)]
    assert [{memory.banks for memory in one.buffers.memories().values()} for one in machines] == [{1}, {8}] * 2
    assert {one.clock_mhz for one in machines} == {100}
    assert machines[0].array is machines[1].array  # many designs share their records


@pytest.mark.parametrize(("flow", "pixels", "filters", "dear"), [("weight", 512, 16, "weight"), ("input", 16, 512, "input")])
def test_what_stays_in_the_array_fixes_the_loop_inside(flow, pixels, filters, dear):
    """Reads of what is stationary are dear, and the other operand does not fit: to keep the one in the array, and yet fetch
    the other once, would be cheapest, but the loop in time is the innermost then."""
    prices = {"write_pj_per_word": 1.0, "source": "made up", "capacity_kib": 0.1, "banks": None}
    memories = {
        name: change(EDGE.buffers.input, read_pj_per_word=5000.0 if name == dear else 1.0, **prices)
        for name in ("input", "weight", "output")
    }
    buffers = change(EDGE.buffers, keep_activations=False, keep_weights=False, double_buffered=False, **memories)
    dram = change(EDGE.dram, energy_pj_per_bit=20.0, source="made up")
    base = change(EDGE, buffers=buffers, dram=dram, array=change(EDGE.array, rows=4, columns=2, dataflow=flow))
    trace = Trace("one", "hardware", (window("w", pixels, 1, filters, pixels, sources=(-1,)),))
    machines = design_grid(base, {"buffers.output.capacity_kib": [1, 4], "dram.bandwidth_gb_s": [0.1, 10]})
    check(trace, machines, estimate_designs(trace, machines))
