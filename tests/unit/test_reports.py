"""The study reports/adder-vs-mac: its functions run on LeNet-5; its page says what results.csv holds."""

import csv
import importlib.util
import re
from pathlib import Path

import pytest

from addersim import count, load_accelerator

STUDY = Path(__file__).parents[2] / "reports" / "adder-vs-mac"


def loaded(name):
    spec = importlib.util.spec_from_file_location(f"adder_vs_mac_{name}", STUDY / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def run():
    return loaded("run")


@pytest.fixture(scope="module")
def pair(run):
    return run.programs("lenet5", 8)


def compared(run, pair, accelerator, table, network="lenet5"):
    machine = load_accelerator(accelerator)
    return run.row((network, 8, accelerator, 1, "elements", "2a", table), pair, (machine, machine))


def test_row_goes_from_the_papers_count_to_the_whole_system(run, pair):
    found = compared(run, pair, "systolic-16x16", "horowitz-45nm")
    assert found["saving_paper"] == f"{0.23 / 0.06:.4f}"  # Horowitz, 8 bits: a multiplication and an addition by two additions
    scopes = [float(found[f"saving_to_{part}"]) for part in ("array", "vector", "buffers", "dram")]
    assert scopes == sorted(scopes, reverse=True)
    assert scopes[-1] == pytest.approx(float(found["conv_uj"]) / float(found["adder_uj"]), abs=1e-4)


def test_parts_add_up_to_the_whole(run, pair):
    found = compared(run, pair, "systolic-16x16", "aladdin-cacti-45nm")
    for name in ("adder", "conv"):
        parts = sum(float(found[f"{name}_{part}_uj"]) for part in run.PARTS)
        assert parts == pytest.approx(float(found[f"{name}_uj"]), rel=1e-5)


def test_table_that_cannot_price_a_design_leaves_its_reason(run, pair):
    found = compared(run, pair, "eyeriss-65nm", "horowitz-45nm")
    assert "register" in found["refused"]
    assert "saving_paper" not in found


def test_cases_change_the_bill_and_not_the_taps(run):
    cases = [case for listed in run.CASES.values() for case in listed]
    traces = {case: count(run.programs("lenet5", 8, case)[0]) for case in ("2a", *cases)}
    assert len({trace.taps for trace in traces.values()}) == 1
    assert len({trace.operations for trace in traces.values()}) == 1 + len(cases)


@pytest.fixture
def show(monkeypatch):
    pytest.importorskip("plotly")
    monkeypatch.syspath_prepend(STUDY.parent)
    monkeypatch.syspath_prepend(STUDY)
    return loaded("show")


def test_tables_show_priced_rows_and_list_the_others(run, pair, show):
    rows = [compared(run, pair, "systolic-16x16", "horowitz-45nm"), compared(run, pair, "eyeriss-65nm", "horowitz-45nm")]
    rows = [{key: str(value) for key, value in row.items()} for row in rows]
    assert "| lenet5 | systolic-16x16 | 1 |" in show.shares(rows)
    assert show.refused(rows).startswith("- eyeriss-65nm, horowitz-45nm: ")


@pytest.fixture(scope="module")
def results():
    with (STUDY / "results.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def template():
    return (STUDY / "text.md").read_text()


def chosen(results, **wanted):
    """Rows of equal elements, batch 1, circuit 2a and the designs' own tables, at 8 bits unless told otherwise."""
    figures = loaded("figures")
    return figures.select(results, [f"{key}={value}" for key, value in wanted.items()])


def test_page_holds_the_figures_of_results(show, results, template):
    page = show.page(results, template)
    assert page == (STUDY / "README.md").read_text(), "run.py --written writes it anew"
    stale = [row | {"saving_to_leakage": "9.87"} for row in results]
    assert "9.87 times less" in show.page(stale, template)


def test_text_has_no_figures_of_its_own(template):
    words = re.sub(r"\{[^}]*\}", "", template)
    assert not re.findall(r".*\d\.\d.*|.*\d %.*", words)


def test_figures_are_one_or_a_range_and_never_none(results):
    figures = loaded("figures")
    fill = figures.fill
    (row,) = chosen(results, network="lenet5", accelerator="systolic-16x16")
    assert fill("{saving[whole lenet5 *-16x16]:.4f}", results) == row["saving_to_leakage"]
    assert fill("{saving[whole lenet5 *-16x16]}", [row, row | {"saving_to_leakage": "2"}]) == "1.12 to 2.00"
    assert fill("{elements[conv lenet5 eyeriss* edge*]}", results) == "168 to 1024"
    with pytest.raises(LookupError, match=r"^time\[lenet5 bits=7\]: no row of results.csv$"):
        fill("{time[lenet5 bits=7]}", results)


@pytest.mark.parametrize("network", ["lenet5", "resnet20"])
@pytest.mark.parametrize("on", ["systolic-16x16", "edge-unified-32x32", "eyeriss-65nm"])
def test_results_are_what_the_code_gives(run, results, network, on):
    found = compared(run, run.programs(network, 8), on, run.reference(on), network)
    (written,) = chosen(results, network=network, accelerator=on)
    assert {key: str(value) for key, value in found.items()} == written


def test_what_the_text_says_in_words_holds(results):
    figures = loaded("figures")
    assert len({row["table"] for row in results if row["case"] == "2a"}) == 11  # "the eleven bundled ones"
    assert {row["table"] for row in results if row["case"] == "own clocks"} == {"nangate45-gates"}
    on_eyeriss = [row for row in results if row["accelerator"] == "eyeriss-65nm" and not row["refused"]]
    assert len({row["table"] for row in on_eyeriss}) == 2  # "its range is of two"
    assert not any(row["equal"] == "area" for row in on_eyeriss)  # "the row stationary design is left out"
    edge = next(iter(chosen(results, network="resnet18", accelerator="edge-unified-32x32")))
    whole, narrower = figures.saved(edge, "whole"), figures.saved(edge, "buffers")
    assert narrower < whole / 2  # "most ... comes from narrower partial sums; priced by banks it does not"
    largest = max(chosen(results), key=lambda row: figures.share(row, "array"))
    assert largest["network"] in ("lenet5", "resnet20")  # "the most where weights and activations stay"
    for bits, on in ((8, "systolic-16x16"), (16, "edge-unified-32x32")):  # "The Aladdin tables ... give the most"
        rows = chosen(results, table="*", network="resnet18", accelerator=on, bits=bits)
        assert max(rows, key=lambda row: figures.saving(row, "whole"))["table"].startswith("aladdin")
