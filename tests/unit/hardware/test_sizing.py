import re

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from addersim.errors import HardwareError
from addersim.hardware import estimate, estimate_area, fit_area, fit_elements, fit_throughput, load_accelerator, load_table
from addersim.hardware.sizing import ASPECT_SLACK
from addersim.trace import Trace
from tests.unit.hardware.traces import batch_norm, small_residual_network

SMALL, EDGE = small_residual_network(), load_accelerator("systolic-16x16")


AREAS = load_table("aladdin-cacti-45nm")
FLAT = Trace("flat", "hardware", (batch_norm("bn", 64, 4),))


def shaped(rows, columns):
    return msgspec.structs.replace(EDGE, array=msgspec.structs.replace(EDGE.array, rows=rows, columns=columns))


@settings(max_examples=50)
@given(st.floats(0.76, 20), st.sampled_from([(16, 16), (12, 14), (8, 32)]))
def test_the_array_fits_the_budget_and_leaves_little_of_it(budget_mm2, sides):
    machine = shaped(*sides)
    found = fit_area(SMALL, machine, budget_mm2, AREAS)
    area = estimate_area(SMALL, found, AREAS)
    assert area.area_mm2 <= budget_mm2
    spare = (budget_mm2 - area.area_mm2) * 1e6 / area.element_um2
    assert spare < max(found.array.rows, found.array.columns) + 1 or area.elements < 20
    ratio = found.array.rows / found.array.columns * sides[1] / sides[0]
    if area.elements >= 40:
        assert 1 / ASPECT_SLACK <= ratio <= ASPECT_SLACK
    assert (found.buffers, found.vector, found.dram, found.clock_mhz) == (EDGE.buffers, EDGE.vector, EDGE.dram, EDGE.clock_mhz)


def test_its_own_area_gives_the_array_back():
    assert fit_area(SMALL, EDGE, estimate_area(SMALL, EDGE).area_mm2 * (1 + 1e-9)) == EDGE


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
    side = found.array.columns
    if side > 1:
        assert estimate(SMALL, shaped(side - 1, side - 1)).images_per_second < images_per_second


@pytest.mark.parametrize("side", [1, 2, 3, 4, 6, 8])
def test_an_array_that_is_just_fast_enough_is_taken(side):
    speeds = [estimate(SMALL, shaped(one, one)).images_per_second for one in (side, side - 1) if one]
    assert len(speeds) == 1 or speeds[0] > speeds[1]
    found = fit_throughput(SMALL, EDGE, speeds[0]).array
    assert (found.rows, found.columns) == (side, side)


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
