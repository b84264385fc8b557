import contextlib
import re
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim.arithmetic.geometry import Geometry
from addersim.errors import HardwareError
from addersim.hardware import (
    Accelerator,
    estimate,
    estimate_area,
    fit_area,
    fit_elements,
    fit_throughput,
    load_accelerator,
    load_table,
)
from addersim.hardware.accelerator import Buffers, VectorUnit
from addersim.hardware.shape_bounds import resized
from addersim.hardware.shape_search import candidates
from addersim.hardware.sizing import Aim
from addersim.trace import Trace
from tests.unit.hardware.traces import batch_norm, bottleneck_network, small_residual_network, window

SMALL, EDGE = small_residual_network(), load_accelerator("systolic-16x16")


AREAS = load_table("aladdin-cacti-45nm")
FLAT = Trace("flat", "hardware", (batch_norm("bn", 64, 4),))


def shaped(rows, columns):
    return msgspec.structs.replace(EDGE, array=msgspec.structs.replace(EDGE.array, rows=rows, columns=columns))


VALUES = {
    "latency": lambda cost: cost.cycles,
    "energy": lambda cost: cost.energy_pj,
    "energy-delay": lambda cost: cost.cycles * cost.energy_pj,
}


def priced(trace, machine, most, table="horowitz-45nm", objective=None):
    """Every shape of at most so many elements, by brute force: cost by sides."""
    found = {}
    for rows in range(1, most + 1):
        for columns in range(1, most // rows + 1):
            sized = msgspec.structs.replace(machine, array=msgspec.structs.replace(machine.array, rows=rows, columns=columns))
            with contextlib.suppress(HardwareError):
                found[rows, columns] = estimate(trace, sized, table, objective=objective)
    return found


def machines():
    """Systolic accelerators, from ones whose memories hold all to ones where DRAM, banks or one port bound the time."""
    return st.builds(
        lambda dataflow, overlapped, kib, banks, kept, double, gb_s, lanes: msgspec.convert(
            {
                "name": "drawn", "source": "drawn", "clock_mhz": 500,
                "array": {"rows": 8, "columns": 8, "dataflow": dataflow, "overlapped_folds": overlapped},
                "buffers": {"unified": {"capacity_kib": kib, "word_bits": 64, "banks": banks},
                            "keep_activations": kept, "double_buffered": double},
                "dram": {"bandwidth_gb_s": gb_s}, "vector": {"lanes": lanes},
            },
            Accelerator,
        ),
        st.sampled_from(["output", "weight", "input"]), st.booleans(), st.sampled_from([2, 8, 64]),
        st.sampled_from([None, 1, 4]), st.booleans(), st.booleans(), st.sampled_from([0.1, 1.0, 50.0]),
        st.sampled_from([1, 64]),
    )  # fmt: skip


@pytest.mark.parametrize(("examples", "largest"), [(4, 24), pytest.param(20, 60, marks=pytest.mark.slow)])
def test_no_shape_of_the_budget_is_better(examples, largest):
    """Of all shapes, by brute force; tiles are chosen for the goal, so that no choice for another one decides."""
    goals = st.sampled_from(["latency", "energy", "energy-delay"])
    settings(max_examples=examples)(given(machines(), goals, st.integers(1, largest))(no_shape_is_better))()


def no_shape_is_better(machine, goal, most):
    value = VALUES[goal]
    aim = Aim(goal, AREAS, objective=goal)
    area = estimate_area(SMALL, machine, AREAS)
    budget_um2 = area.area_um2 - area.by_unit()["array"] + (most + 0.5) * area.element_um2
    every = priced(SMALL, machine, most, AREAS, goal)
    if not every:
        with pytest.raises(HardwareError, match="smallest, one fold"):
            fit_area(SMALL, machine, budget_um2 / 1e6, AREAS, aim)
        return
    found = fit_area(SMALL, machine, budget_um2 / 1e6, AREAS, aim)
    assert value(estimate(SMALL, found, AREAS, objective=goal)) == min(map(value, every.values()))
    assert estimate_area(SMALL, found, AREAS).area_um2 <= budget_um2
    assert (found.buffers, found.vector, found.dram) == (machine.buffers, machine.vector, machine.dram)


@pytest.mark.parametrize(("examples", "largest"), [(3, 24), pytest.param(20, 40, marks=pytest.mark.slow)])
def test_a_throughput_that_some_array_reaches_is_reached_with_the_fewest_elements(examples, largest):
    numbers = st.integers(1, largest), st.floats(0.3, 1.2)
    settings(max_examples=examples)(given(machines(), *numbers)(fewest_elements_reach_it))()


def fewest_elements_reach_it(machine, most, share):
    every = priced(SMALL, machine, most, AREAS, "latency")
    if not every:
        return
    wanted = share * max(cost.images_per_second for cost in every.values())
    aim = Aim(prices=AREAS, objective="latency")
    enough = [rows * columns for (rows, columns), cost in every.items() if cost.images_per_second >= wanted]
    try:
        found = fit_throughput(SMALL, machine, wanted, aim=aim)
    except HardwareError as error:
        assert "out of reach" in str(error)
        assert not enough
        return
    assert estimate(SMALL, found, AREAS, objective="latency").images_per_second >= wanted * (1 - 1e-12)
    if enough:
        assert found.array.elements == min(enough)
    else:
        assert found.array.elements > most


def unified(kib, gb_s=1.0, double=True, banks=None, lanes=1):
    """One memory, which weights, activations and tiles share."""
    memory = msgspec.structs.replace(EDGE.buffers.input, capacity_kib=kib, banks=banks)
    buffers = Buffers(unified=memory, keep_activations=True, double_buffered=double)
    dram = msgspec.structs.replace(EDGE.dram, bandwidth_gb_s=gb_s)
    return msgspec.structs.replace(EDGE, buffers=buffers, dram=dram, vector=VectorUnit(lanes=lanes))


def test_the_smallest_array_is_taken_where_it_just_reaches_the_speed():
    """Cycles of DRAM that were rounded up layer by layer, where a stage is rounded once, made its bound too high."""
    machine = unified(2, gb_s=50.0, double=False)
    aim = Aim(prices=AREAS, objective="latency")
    speed = estimate(SMALL, resized(machine, 1, 1), AREAS, objective="latency").images_per_second
    assert fit_throughput(SMALL, machine, speed, aim=aim).array.elements == 1


@pytest.mark.parametrize("kib", [6, 14])
@pytest.mark.parametrize(("objective", "batch"), [("latency", 1), ("energy", 3), ("dram", 2)])
def test_no_shape_costs_less_than_its_bound_wherever_weights_lie(kib, objective, batch):
    """Other shapes may keep the weights on chip, or the activations, and run other numbers of images together."""
    costs = Aim(prices=AREAS, objective=objective, batch=batch).costs(SMALL, unified(kib, gb_s=0.2))
    found = candidates(costs, lambda rows, columns: rows * columns <= 40)
    for at in range(0, len(found.rows), 8):
        cost = costs.of(int(found.rows[at]), int(found.columns[at]))
        if cost is not None:
            assert found.cycles[at] <= cost.cycles
            assert found.energy_pj[at] <= cost.energy_pj


@pytest.mark.parametrize("most", [40, 111])
def test_bounds_lie_below_the_costs_and_close_where_the_array_is_what_bounds(most):
    costs = Aim(prices=AREAS).costs(SMALL, EDGE)
    found = candidates(costs, lambda rows, columns: rows * columns <= most)
    pairs = list(zip(found.rows.tolist(), found.columns.tolist(), strict=True))
    priced = [estimate(SMALL, resized(EDGE, *pair), AREAS) for pair in pairs]
    cycles, energies = (np.array([getattr(cost, what) for cost in priced]) for what in ("cycles", "energy_pj"))
    assert (found.cycles <= cycles).all()
    assert (found.energy_pj <= energies).all()
    assert (found.cycles > 0.7 * cycles).all()
    assert (found.energy_pj > 0.5 * energies).all()


def test_few_shapes_are_priced():
    """Each takes milliseconds: the search would take seconds without bounds."""
    told = []
    fit_area(bottleneck_network(2), EDGE, 3.0, AREAS, Aim(progress=lambda done, total: told.append((done, total))))
    assert max(total for _, total in told) > 1000
    assert len(told) < 200


def test_equal_shapes_are_told_apart_the_same_way_every_time():
    """Of arrays that are equally fast the smallest, nearest to the given shape."""
    slow = msgspec.structs.replace(EDGE, dram=msgspec.structs.replace(EDGE.dram, bandwidth_gb_s=0.01))
    found = fit_elements(slow, 40, SMALL)
    every = priced(SMALL, slow, 40)
    least = min(cost.cycles for cost in every.values())
    assert estimate(SMALL, found).cycles == least
    assert found.array.elements == min(rows * columns for (rows, columns), cost in every.items() if cost.cycles == least)
    assert fit_elements(slow, 40, SMALL) == found


def moving_windows():
    layer = window("conv", 64, 144, 16, inputs=16 * 100)
    work = replace(layer.work, geometry=Geometry((3, 3)), image=(10, 10))
    return Trace("moving", "hardware", (replace(layer, work=work),))


def test_a_row_stationary_array_keeps_near_its_shape():
    trace, machine = moving_windows(), load_accelerator("eyeriss-65nm")
    found = fit_elements(machine, 96, trace, Aim(prices="eyeriss-65nm")).array
    assert (found.rows, found.columns) in [(8, 12), (12, 8)]
    with pytest.raises(HardwareError, match=r"out of reach of accelerator 'eyeriss-65nm'; the fastest array, \d+x\d+, runs"):
        fit_throughput(trace, machine, 1e9, aim=Aim(prices="eyeriss-65nm"))


def test_a_sized_accelerator_is_named_after_its_array_and_runs():
    found = fit_area(SMALL, EDGE, 2.0)
    assert found.name == f"systolic-16x16, array {found.array.rows}x{found.array.columns}"
    assert estimate(SMALL, found).cycles <= estimate(SMALL, EDGE).cycles


@pytest.mark.parametrize(
    ("sides", "elements", "expected"),
    [((16, 16), 512, (16, 32)), ((16, 16), 144, (12, 12)), ((12, 14), 168, (12, 14)), ((16, 16), 13, (1, 13)),
     ((8, 32), 64, (4, 16))],
)  # fmt: skip
def test_so_many_elements_exactly(sides, elements, expected):
    found = fit_elements(shaped(*sides), elements).array
    assert (found.rows, found.columns) == expected


@pytest.mark.parametrize("images_per_second", [1_000, 20_000, 40_000])
def test_the_smallest_array_that_is_fast_enough(images_per_second):
    found = fit_throughput(SMALL, EDGE, images_per_second)
    assert estimate(SMALL, found).images_per_second >= images_per_second
    fewer = priced(SMALL, EDGE, min(found.array.elements - 1, 60))
    assert all(cost.images_per_second < images_per_second for cost in fewer.values())


@pytest.mark.parametrize("sides", [(1, 1), (2, 2), (3, 4), (8, 8), (64, 16)])
def test_an_array_that_is_just_fast_enough_is_taken(sides):
    speed = estimate(SMALL, resized(EDGE, *sides)).images_per_second
    found = fit_throughput(SMALL, EDGE, speed)
    assert found.array.elements <= sides[0] * sides[1]
    assert estimate(SMALL, found).images_per_second >= speed


def test_the_fastest_speed_is_reached_and_no_more():
    fastest = max(priced(SMALL, EDGE, 100).values(), key=lambda cost: cost.images_per_second)
    assert fit_throughput(SMALL, EDGE, fastest.images_per_second).array.elements <= 100
    every = estimate(SMALL, fit_area(SMALL, EDGE, 99, AREAS)).images_per_second
    assert estimate(SMALL, fit_throughput(SMALL, EDGE, every)).images_per_second == every
    with pytest.raises(HardwareError, match="out of reach"):
        fit_throughput(SMALL, EDGE, every * (1 + 1e-9))


def test_a_network_finds_its_own_shape_of_so_many_elements():
    assert (fit_elements(EDGE, 512).array.rows, fit_elements(EDGE, 512).array.columns) == (16, 32)
    found = fit_elements(EDGE, 512, SMALL)
    sides = [(1 << power, 512 >> power) for power in range(10)]
    cycles = {pair: estimate(SMALL, resized(EDGE, *pair)).cycles for pair in sides}
    assert (found.array.rows, found.array.columns) == min(cycles, key=cycles.get)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: fit_area(SMALL, EDGE, 0.7),
            "area budget: 0.7 mm2 holds no processing element; memories and vector",
        ),
        (lambda: fit_area(SMALL, EDGE, -1), "area budget: found -1 mm2, needs a number > 0"),
        (lambda: fit_area(SMALL, EDGE, float("nan")), "area budget: found nan mm2"),
        (
            lambda: fit_area(SMALL, EDGE, 1, "horowitz-45nm"),
            "'horowitz-45nm' has no area for mul of 8 bits (array)",
        ),
        (
            lambda: fit_area(Trace("flat", "hardware", (batch_norm("bn", 64, 4),)), EDGE, 9),
            "network flat: no layer runs on the array",
        ),
        (lambda: fit_elements(EDGE, 64, SMALL, Aim("dram")), "goal: found 'dram', needs one of latency, energy, energy-delay"),
        (lambda: fit_area(replace(SMALL, convention="paper"), EDGE, 9), "network small: the paper convention has no cycles"),
        (lambda: fit_elements(EDGE, 0), "processing elements: found 0, needs a whole number in 1.."),
        (lambda: fit_elements(EDGE, 1.5), "processing elements: found 1.5"),
        (lambda: fit_elements(EDGE, 65_537), "processing elements: 65537 have no two factors of at most 65536 each"),
        (lambda: fit_throughput(SMALL, EDGE, 0), "throughput: found 0 images/s, needs a number > 0"),
        (
            lambda: fit_throughput(SMALL, EDGE, 1e12),
            "throughput: 1e+12 images/s is out of reach of accelerator",
        ),
    ],
)
def test_what_cannot_be_built_is_told_in_one_line(call, message):
    with pytest.raises(HardwareError, match=re.escape(message)) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("elements", "fits"), [(1.001, True), (0.999, False), (0.001, False)])
def test_a_budget_holds_one_element_or_none(elements, fits):
    area = estimate_area(SMALL, EDGE, AREAS)
    budget_mm2 = (area.area_um2 - area.by_unit()["array"] + elements * area.element_um2) / 1e6
    if fits:
        assert fit_area(SMALL, EDGE, budget_mm2, AREAS).array.elements == 1
    else:
        with pytest.raises(HardwareError, match=r"area budget: .* mm2 holds no processing element"):
            fit_area(SMALL, EDGE, budget_mm2, AREAS)
