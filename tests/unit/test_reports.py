"""The study reports/adder-vs-mac: its functions run on LeNet-5, and say what they leave out."""

import importlib.util
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


def compared(run, pair, accelerator, table):
    machine = load_accelerator(accelerator)
    return run.row(("lenet5", 8, accelerator, 1, "elements", "2a", table), pair, (machine, machine))


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


def test_tables_show_priced_rows_and_list_the_others(run, pair, monkeypatch):
    pytest.importorskip("plotly")
    monkeypatch.syspath_prepend(STUDY.parent)
    show = loaded("show")
    rows = [compared(run, pair, "systolic-16x16", "horowitz-45nm"), compared(run, pair, "eyeriss-65nm", "horowitz-45nm")]
    rows = [{key: str(value) for key, value in row.items()} for row in rows]
    assert "| lenet5 | systolic-16x16 | 1 |" in show.shares(rows)
    assert show.refused(rows).startswith("- eyeriss-65nm, horowitz-45nm: ")
