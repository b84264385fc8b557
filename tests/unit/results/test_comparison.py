"""Comparisons: ratios, their causes, and the finding in words."""

import json
import re
from dataclasses import replace

import pytest

from addersim.errors import ConfigError
from addersim.hardware.prices.csv_file import table_names
from addersim.quantization.pipeline import quantize
from addersim.results.comparison import compare
from addersim.results.comparison_text import headline
from addersim.results.contrast import COMPONENTS
from addersim.results.result import Result, evaluate
from addersim.simulation import count
from tests.unit.networks import residual


def of(arithmetic, accelerator="systolic-16x16", table="horowitz-45nm", batch=None, convention="hardware", name=None):
    trace = count(quantize(residual(arithmetic=arithmetic), None), convention)
    return evaluate(trace, accelerator, table, batch, name=name or f"{arithmetic} {accelerator} {table} {batch} {convention}")


@pytest.fixture(scope="module")
def pair():
    return of("l1"), of("mac")


def test_ratios_are_those_of_the_costs(pair):
    first, other = pair
    (contrast,) = compare(pair).contrasts
    assert contrast.energy_ratio == other.cost.energy_pj / first.cost.energy_pj
    assert contrast.time_ratio == other.cost.cycles / first.cost.cycles
    assert contrast.area_ratio == other.area.area_um2 / first.area.area_um2
    scopes = contrast.ratio_by_scope()
    arrays = [one.cost.energy_by_component()["array"] for one in pair]
    assert scopes["array"] == arrays[1] / arrays[0] > 1.5
    assert list(scopes.values())[-1] == pytest.approx(contrast.energy_ratio, rel=1e-12)
    by_table = contrast.ratio_by_table()
    assert by_table["horowitz-45nm"] == contrast.energy_ratio
    assert by_table["qtools-45nm"] == pytest.approx(
        of("mac", table="qtools-45nm").cost.energy_pj / of("l1", table="qtools-45nm").cost.energy_pj
    )


def test_ratios_are_those_of_one_image():
    (contrast,) = compare([of("l1", batch=1), of("l1", batch=8)]).contrasts
    one, eight = contrast.first.cost, contrast.result.cost
    assert contrast.energy_ratio == pytest.approx(eight.energy_pj / 8 / one.energy_pj)
    assert contrast.time_ratio == pytest.approx(eight.cycles / 8 / one.cycles)
    assert contrast.differs_in() == {"batch": ("1", "8")}
    assert sum(one.energy_pj for one in contrast.differences()) == pytest.approx(
        eight.energy_pj_per_image - one.energy_pj_per_image
    )


def test_differences_add_up_and_the_causes_are_the_largest(pair):
    (contrast,) = compare(pair).contrasts
    differences = contrast.differences()
    assert sum(one.energy_pj for one in differences) == pytest.approx(pair[1].cost.energy_pj - pair[0].cost.energy_pj)
    sizes = [abs(one.energy_pj) for one in differences]
    assert sizes == sorted(sizes, reverse=True)
    causes = contrast.causes()
    assert causes == differences[: len(causes)]
    named = sum(abs(one.energy_pj) for one in causes)
    assert named >= 0.9 * sum(sizes) > named - sizes[len(causes) - 1]
    assert str(causes[0]).startswith("array mul +")
    assert compare([pair[0], replace(pair[0], name="twin")]).contrasts[0].causes() == ()


def test_names_of_several_parts_are_told_once():
    first = of("l1", name="net, small, horowitz-45nm")
    words = headline(first, of("mac", name="twin, small, horowitz-45nm"))
    assert words.startswith("net takes ")
    assert "less energy an image than twin (both small, horowitz-45nm): " in words
    assert words.count("horowitz-45nm") == words.count("small") == 1
    words = headline(first, of("l1", "edge-unified-32x32", name="net, edge, horowitz-45nm"))
    assert words.count("net") == words.count("horowitz-45nm") == 1
    assert "(both net, horowitz-45nm): " in words
    assert " with small, " in words
    assert " with edge. " in words
    words = headline(first, of("mac", "edge-unified-32x32", "qtools-45nm", name="twin, edge, qtools-45nm"))
    assert "net, small, horowitz-45nm takes " in words
    assert "less energy an image than twin, edge, qtools-45nm: " in words
    assert words.count(", small") == words.count(", edge") == 1
    assert headline(first, replace(first, name="other")).startswith("net, small, horowitz-45nm and other take the same energy")
    assert headline(first, first)


def test_the_finding_names_who_saves_how_much_and_where_it_vanishes(pair):
    first, other = pair
    words = headline(first, other).replace("\N{NO-BREAK SPACE}", " ")
    less = 100 * (1 - first.cost.energy_pj / other.cost.energy_pj)
    assert words.startswith(f"{first.name} takes {less:.2g} % less energy an image than {other.name}: ")
    assert less < 10  # two digits below 10 %, three above
    arrays = [one.cost.energy_by_component()["array"] for one in pair]
    assert f"Its array alone takes {100 * (1 - arrays[0] / arrays[1]):.3g} % less (a convention: operations times" in words
    assert f"Both take {first.cost.latency_ms * 1e3:.4g} µs an image" in words
    ratios = compare(pair).contrasts[0].ratio_by_table().values()
    assert f"Under {len(ratios)} energy tables {other.name} takes {min(ratios):.3g} to {max(ratios):.3g} times" in words
    assert "different tables" not in words
    assert headline(other, first).startswith(f"{first.name} takes ")


def test_several_buffers_take_and_one_dram_takes():
    eyeriss = [of(arithmetic, "eyeriss-65nm", "eyeriss-65nm") for arithmetic in ("l1", "mac")]
    systolic = [of(arithmetic) for arithmetic in ("l1", "mac")]
    for first, other in (eyeriss, systolic):
        parts = other.cost.energy_by_component()
        largest = COMPONENTS[max((name for name in parts if name != "array"), key=parts.__getitem__)]
        verb = {"register files": "take", "buffers": "take", "DRAM": "takes"}[largest]
        assert re.search(rf"; {largest}, \S+\s%, {verb} ", headline(first, other)), headline(first, other)


def test_the_finding_says_what_is_the_same(pair):
    twin = replace(pair[0], name="twin")
    assert headline(pair[0], twin).startswith(f"{pair[0].name} and twin take the same energy an image, ")
    larger = headline(pair[0], of("l1", "systolic-32x32"))
    assert "Arithmetic in the array is the same; l1 systolic-32x32 horowitz-45nm None hardware differs in " in larger
    assert "An image takes " in larger
    assert "priced by different tables (horowitz-45nm, qtools-45nm)" in headline(pair[0], of("l1", table="qtools-45nm"))
    alike = f"Under each of {len(table_names())} energy tables the two take the same energy. "
    assert alike in headline(pair[0], of("l1", table="qtools-45nm"))


def test_one_design_and_the_paper_convention(pair):
    alone = headline(pair[0]).replace("\N{NO-BREAK SPACE}", " ")
    assert " an image on systolic-16x16 (" in alone
    papers = [of("l1", convention="paper"), of("mac", convention="paper")]
    assert headline(papers[0]).endswith("an image, of arithmetic alone.")
    (contrast,) = compare(papers).contrasts
    assert contrast.time_ratio is None
    assert contrast.area_ratio is None
    assert "less energy an image than" in headline(*papers)
    plain = Result("plain", pair[0].trace, pair[0].cost)
    assert compare([plain, pair[1]]).contrasts[0].ratio_by_table().keys() == {"horowitz-45nm"}


def test_the_document_is_plain(pair):
    document = json.loads(json.dumps(compare(pair).to_dict(), allow_nan=False))
    (against,) = document["against_first"]
    assert against["energy_ratio"] == pair[1].cost.energy_pj / pair[0].cost.energy_pj
    assert against["differs_in"] == {"network": ["residual-l1", "residual-mac"]}
    assert [one["name"] for one in document["results"]] == [one.name for one in pair]
    area = document["results"][0]["area"]
    assert sum(part["area_um2"] for part in area["parts"]) == pytest.approx(area["area_um2"]["total"])
    by_table = document["results"][0]["energy_pj_per_image_by_table"]
    assert by_table["horowitz-45nm"] == pair[0].cost.energy_pj_per_image
    assert len(by_table) > 3


def test_results_are_needed_and_told_apart(pair):
    with pytest.raises(ConfigError, match=r"^compare: no results; give at least one$"):
        compare([])
    with pytest.raises(ConfigError, match=r"^compare: two results are named 'same'; give each a name of its own$"):
        compare([replace(one, name="same") for one in pair])
