"""addersim designs, and the grid of addersim sweep: fields of accelerators as axes."""

import csv
import io

import pytest

from addersim import count, design_grid, estimate, load_network, quantize
from tests.unit.cli.test_cli import document, refused, run

GRID = ("--vary", "array.rows+array.columns=8,16", "--vary", "buffers.*.capacity_kib=0.01,64")


def own(grid):
    trace = count(quantize(load_network("lenet5-adder"), None))
    return [estimate(trace, one) for one in design_grid("systolic-16x16", grid)]


def test_designs_as_estimate_gives_them():
    """Those that are refused stand with the others, and say why."""
    found = document("designs", "lenet5-adder", *GRID)
    rows = found["designs"]
    assert [(row["design"], row["array.rows+array.columns"], row["buffers.*.capacity_kib"]) for row in rows] == [
        (1, 8, 0.01), (2, 8, 64), (3, 16, 0.01), (4, 16, 64)
    ]  # fmt: skip
    costs = own({"array.rows+array.columns": [8, 16], "buffers.*.capacity_kib": [64]})
    assert [row["cycles"] for row in rows] == [None, costs[0].cycles, None, costs[1].cycles]
    assert rows[3]["energy_pj"] == pytest.approx(costs[1].energy_pj, rel=1e-12)
    assert rows[3]["cold_start_pj"] == pytest.approx(costs[1].cold_start.energy_pj, rel=1e-12)
    assert rows[0]["error"].startswith("layer conv1: accelerator 'systolic-16x16': buffers.input of 0.01 KiB")
    assert found["pareto"] == [4]


def test_what_is_printed(tmp_path):
    status, output, _ = run("designs", "lenet5-adder", *GRID, "--csv", tmp_path / "designs.csv")
    assert status == 0
    assert "lenet5-adder on 4 designs, prices of horowitz-45nm: 1 Pareto-optimal" in output
    assert "rows+columns" in output
    assert "2 designs refused; the first: layer conv1" in output
    rows = list(csv.DictReader(io.StringIO((tmp_path / "designs.csv").read_text())))
    assert [row["memory_kib"] for row in rows] == ["0.03", "192.0"] * 2
    once = float(rows[3]["cold_start_pj"])
    assert once > 0
    assert f"{once / 1e3:,.0f}" in output
    assert "cold nJ: what fetching the weights that then stay on chip takes, once" in output


def test_a_file_with_a_grid(tmp_path):
    """What an option says replaces the file's."""
    file = tmp_path / "grid.toml"
    file.write_text("array.rows = [4, 8]\n[dram]\nbandwidth_gb_s = [1, 2, 3]\n")
    found = document("designs", "lenet5-adder", "--grid", file, "--vary", "array.rows=16")["designs"]
    assert [(row["rows"], row["bandwidth_gb_s"]) for row in found] == [(16, 1), (16, 2), (16, 3)]
    file.write_text("array.rows = [4")
    assert refused("designs", "lenet5-adder", "--grid", file).startswith(f"{file}: not valid TOML: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "designs: nothing varies; give --vary, such as --vary array.rows=8,16,32, or --grid FILE"),
        (("--vary", "array.rows"), "--vary: found 'array.rows', needs FIELD=VALUES, such as array.rows=8,16,32"),
        (("--vary", "array.rows=8,0"), "grid: array.rows: found 0, needs a whole number in 1..65,536"),
        (("--vary", f"array.rows={'9' * 5000}"), "grid: array.rows: found '9999"),
        (("--vary", f"array.rows={'[' * 50_000}"), "grid: array.rows: found '[[["),
        (("--vary", "array.row=8"), "grid: unknown key array.row; known: rows, columns, dataflow"),
        (
            ("--vary", "array.dataflow=diagonal"),
            "grid: array.dataflow: found 'diagonal', needs 'broadcast' or 'input' or 'output' or 'row' or 'weight'",
        ),
        (("--vary", "array.rows=8", "--objective", "speed"), "objective: found 'speed', needs one of energy-delay"),
    ],
)
def test_refusals(options, message):
    assert refused("designs", "lenet5-adder", *options).startswith(message)


def test_values_of_any_kind():
    """Numbers, truths, words, and none for what need not be given."""
    options = (
        "--vary",
        "buffers.keep_weights=true,false,none",
        "--vary",
        "array.dataflow=output",
        "--vary",
        "clock_mhz=2.5e2",
    )
    found = document("designs", "lenet5-adder", *options)["designs"]
    assert [row["buffers.keep_weights"] for row in found] == [True, False, None]
    assert {row["clock_mhz"] for row in found} == {250}


def test_a_sweep_with_a_grid(tmp_path):
    """Each accelerator gives way to the designs of the grid, all priced at once, as one by one; nothing of that is kept."""
    file = tmp_path / "study.toml"
    file.write_text(
        'networks = ["lenet5-adder"]\nbits = 8\nimages = 8\naccelerator = ["systolic-16x16", "edge-unified-32x32"]\n'
        "[grid]\narray.rows = [8, 16]\ndram.bandwidth_gb_s = [0.1, 6.4]\n"
    )
    found = document("sweep", file, "--out", tmp_path / "out", "--jobs", 1)
    names = [row["accelerator"] for row in found["points"]]
    assert names[1] == "systolic-16x16, array.rows 8, dram.bandwidth_gb_s 6.4"
    assert len(set(names)) == 8
    alone = [
        document("estimate", "lenet5-adder", "--bits", 8, "--accelerator", _written(tmp_path, number)) for number in (1, 2)
    ]
    for row, one in zip(found["points"][1:3], alone, strict=True):
        assert row["energy_pj"] == pytest.approx(one["energy_pj"]["total"], rel=1e-12)
        assert row["cycles"] == one["cycles"]
    kept = sum(1 for path in (tmp_path / "out").rglob("*") if path.is_file())
    again = document("sweep", file, "--out", tmp_path / "out", "--jobs", 1, "--vary", "array.rows=8,16")
    assert again["points"] == found["points"]
    assert sum(1 for path in (tmp_path / "out").rglob("*") if path.is_file()) == kept


def _written(folder, number):
    """A file of the first accelerator's second or third design."""
    from addersim.config import resolve_text

    _, _, text = resolve_text("systolic-16x16", "accelerators", ".toml", "accelerator")
    rows, bandwidth = ((8, 6.4), (16, 0.1))[number - 1]
    text = text.replace("\nrows = 16", f"\nrows = {rows}").replace("bandwidth_gb_s = 12.8", f"bandwidth_gb_s = {bandwidth}")
    path = folder / f"{number}.toml"
    path.write_text(text)
    return path


def test_a_sweep_refuses_a_grid_that_cannot_be(tmp_path):
    grid = ("--vary", "array.rows=0")
    assert "grid: array.rows: found 0" in refused("sweep", "lenet5-adder", *grid, "--out", tmp_path, "--images", 4)
    many = (
        "--vary",
        f"array.rows={','.join(map(str, range(1, 1101)))}",
        "--vary",
        f"array.columns={','.join(map(str, range(1, 1101)))}",
    )
    assert "1,210,000 points; a study has at most 1,000,000" in refused("sweep", "lenet5-adder", *many, "--out", tmp_path)
