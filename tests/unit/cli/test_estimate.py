import csv
import json
import re
import warnings
from importlib.resources import files

import pytest
from typer.testing import CliRunner

from addersim.cli import app
from addersim.errors import AddersimError, AddersimWarning


def run(*arguments):
    return CliRunner().invoke(app, ["estimate", *arguments])


def words(result):
    assert result.exit_code == 0, result.exception
    return " ".join(result.output.split())


def refused(*arguments):
    found = run("lenet5-adder", *arguments)
    assert isinstance(found.exception, AddersimError)
    return str(found.exception)


def test_all_tables_are_a_range_with_its_ends_and_the_area():
    found = run("lenet5-adder", "--table", "all")
    assert found.exit_code == 0
    text = words(found)
    for table in ("aladdin-cacti-22nm", "horowitz-45nm", "qtools-45nm", "shiftaddnet-45nm"):
        assert table in text
    assert "under every energy table" in text
    assert "(aladdin-cacti-7nm to sg13g2-gates), a factor of" in text
    assert "area 0.8599 mm2 at 45 nm by aladdin-cacti-45nm" in text
    assert "no area for: control, clock tree, wires, DRAM interface" in text


def test_all_tables_as_json_and_csv(tmp_path):
    found = run("lenet5-adder", "--table", "all", "--json", "--csv", str(tmp_path / "range.csv"))
    document = json.loads(found.stdout)
    energies = [table["energy_pj"]["total"] for table in document["tables"]]
    assert energies == sorted(energies)
    assert document["refused"] == {}
    with (tmp_path / "range.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["table"] for row in rows] == [table["table"] for table in document["tables"]]
    leakage = {row["table"]: row["leakage uJ"] for row in rows}
    assert leakage["horowitz-45nm"] == ""  # the table has none: not zero
    assert float(leakage["aladdin-cacti-45nm"]) > 0


def test_a_node_that_some_tables_have_not_is_said():
    found = run("lenet5-adder", "--table", "horowitz-45nm", "--node", "7")
    assert "prices of horowitz-45nm at 7 nm" in words(found)
    assert "node 5 nm: cannot be scaled to; known: 180" in refused("--node", "5")
    every = words(run("lenet5-adder", "--table", "all", "--node", "7"))
    assert "not by aladdin-cacti-22nm: energy table 'aladdin-cacti-22nm': its 22 nm cannot be scaled from; known: 180" in every


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--area-budget", "1"), "processing elements 432 of 747.1 um2"),
        (("--pes", "64"), "processing elements 64 of 747.1 um2"),
        (("--throughput", "30000"), "lenet5-adder on systolic-16x16, array 8x8, one image"),
    ],
)
def test_the_array_is_sized(arguments, said):
    assert said in words(run("lenet5-adder", *arguments))


def test_a_number_of_elements_that_makes_no_squarer_array_is_told():
    with pytest.warns(AddersimWarning, match="--pes 61: exactly so many elements make no squarer array than 1 x 61; take a"):
        run("lenet5-adder", "--pes", "61")
    with warnings.catch_warnings():
        warnings.simplefilter("error", AddersimWarning)
        assert run("lenet5-adder", "--pes", "64").exit_code == 0


def test_prices_and_areas_between_rows_are_told(tmp_path):
    bundled = files("addersim") / "data" / "accelerators" / "systolic-16x16.toml"
    odd = tmp_path / "odd.toml"
    odd.write_text(bundled.read_text().replace("capacity_kib = 64", "capacity_kib = 50", 1))
    arguments = ("lenet5-adder", "--accelerator", str(odd), "--table", "aladdin-cacti-45nm")
    told, document = words(run(*arguments)), json.loads(run(*arguments, "--json").stdout)
    rules = {price["what"]: price["rule"] for price in document["prices"]}
    for op in ("read", "write"):
        found = rules[f"input buffer of 50 KiB, {op}"]
        assert found.startswith("grid, between rows of 8 and 16 KiB, 64 bits, one of 4 macros of 12.5 KiB: ")
        assert re.search(r" pJ, and 0\.\d+ mm of wire \(exact\): [\d.]+ pJ; of transistors itrs-lstp", found)
    (area,) = (part["rule"] for part in document["area"]["parts"] if part["what"] == "input buffer of 50 KiB")
    assert area == "grid, between rows of 8 and 16 KiB, 64 bits"
    assert "2 grid" in told  # of 64 KiB the macros are of a row's size
    odd.write_text(odd.read_text().replace("[buffers]", "[buffers]\nmonolithic = true"))
    assert "2 grid" in words(run(*arguments))
    assert "exact" not in words(run(*arguments))
    listed = words(run("lenet5-adder"))
    assert "grid" not in listed
    assert re.search(
        r"unit energies computed by a rule of the table: \d+ linear, .* 6 power, of \d+ \(--json names each\)", listed
    )


def test_a_fit_of_a_users_table_is_told_with_its_error(tmp_path):
    bundled = (files("addersim") / "data" / "energy" / "aladdin-cacti-45nm.csv").read_text()
    fitted = tmp_path / "fitted.csv"
    fitted.write_text(bundled.replace(",grid,", ",fit,"))
    told = words(run("lenet5-adder", "--table", str(fitted)))
    assert re.search(
        r"fitted: input buffer of 64 KiB, read; .*: fit .* to 39 rows, error \d+ % rms, \d+ % at most, one of 4", told
    )


def test_what_lies_outside_a_tables_evidence_is_said_in_one_line():
    told = words(run("lenet5-adder", "--bits", "2"))
    assert "outside the table's evidence of 8..32 bits: cmp 2 bit, mux 2 bit, sub 2 bit" in told
    assert "outside" not in words(run("lenet5-adder"))
    document = json.loads(run("lenet5-adder", "--bits", "2", "--table", "aladdin-cacti-45nm", "--json").stdout)
    assert document["notes"]["outside the table's evidence of 4..32 bits"] == ["cmp 2 bit", "sub 2 bit"]


def test_full_words_are_said_to_be_assumed_where_layers_spread_their_operands(tmp_path):
    topology = tmp_path / "two.csv"
    head = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
    topology.write_text(head + "dense, 18, 18, 3, 3, 8, 8, 1,\nstrided, 18, 18, 3, 3, 8, 8, 2,\n")
    said = "accesses of memories are taken to use full words; grouped and strided layers may use a part of each: strided"
    assert said in words(run(str(topology)))
    assert "full words" not in words(run("lenet5-adder"))


def test_memories_that_are_not_priced_by_their_banks_are_named():
    note = "priced as one memory, not by banks: the table lacks areas of memories or the energy of wires: "
    told = words(run("lenet5-adder", "--table", "qtools-45nm"))
    assert f"{note}input buffer of 64 KiB, read, input buffer of 64 KiB, write, weight buffer" in told
    assert note not in words(run("lenet5-adder"))
    assert f"{note}qtools-45nm, eyeriss-65nm, shiftaddnet-45nm" in words(run("lenet5-adder", "--table", "all"))


def test_what_is_not_priced_is_said():
    assert "not priced: registers and wires inside the array, control, clock tree, leakage (no rows for it)" in words(
        run("lenet5-adder")
    )
    cacti = words(run("lenet5-adder", "--table", "aladdin-cacti-45nm"))
    assert "clock tree, leakage of operand register of 8 bits, sum register of 18 bits" in cacti
    assert "leakage nJ" in cacti


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--area-budget", "1", "--pes", "4"), "--area-budget, --pes, --throughput: each sizes the array; give one of them"),
        (("--area-budget", "0.1"), "area budget: 0.1 mm2 holds no processing element"),
        (("--throughput", "1e15"), "is out of reach of accelerator 'systolic-16x16'"),
        (("--area-budget", "1", "--area-table", "qtools-45nm"), "energy table 'qtools-45nm' has no area for"),
        (("--table", "all", "--compute-report", "x.csv"), "--compute-report: needs one energy table; found --table all"),
    ],
)
def test_bad_sizes_are_refused_in_one_line(arguments, message):
    assert message in refused(*arguments)
    assert "\n" not in refused(*arguments)


def test_one_layer_and_its_total_show_one_utilisation(tmp_path):
    (tmp_path / "net.csv").write_text("Layer, M, N, K,\nfc, 1, 2000, 2000,\n")
    shown = words(run(str(tmp_path / "net.csv"), "--batch", "200"))
    (layer,) = re.findall(r"fc mac [\d,]+ \w+ (\d+) %", shown)
    (total,) = re.findall(r"total [\d,]+ (\d+) %", shown)
    assert layer == total


def with_changes(folder, **changes):
    """A bundled accelerator's file with more keys: by the table that they stand under, "" for the top."""
    text = (files("addersim") / "data/accelerators/systolic-16x16.toml").read_text()
    for table, keys in changes.items():
        head = f"[{table}]\n" if table else ""
        text = text.replace(head, head + keys, 1) if head else keys + text
    path = folder / "own.toml"
    path.write_text(text)
    return str(path)


def test_zeros_that_nobody_saw_are_refused_in_one_line(tmp_path):
    path = with_changes(tmp_path, array="zero_gating = true\n")
    found = run("lenet5-conv", "--accelerator", path)
    assert isinstance(found.exception, AddersimError)
    assert "has zero_gating, but nobody saw the zeros of the layer's input; estimate the trace" in str(found.exception)
    assert "\n" not in str(found.exception)


def test_what_zeros_save_and_do_not_is_told(tmp_path):
    keys = {"": 'zero_share = 0.5\nzero_share_source = "chosen"\n', "array": "zero_gating = true\n"}
    told = words(run("lenet5-adder", "--accelerator", with_changes(tmp_path, **keys)))
    assert "zero gating saves nothing where the term of a zero is not zero: conv1, conv2, fc1 and 2 more" in told
    told = words(run("lenet5-conv", "--accelerator", with_changes(tmp_path, **keys)))
    assert "zero gating saves" not in told
    assert "share of zeros stated as 0.5, not seen (chosen): conv1, conv2, fc1 and 2 more" in told


def test_idle_power_is_a_column_and_no_longer_unpriced(tmp_path):
    keys = {"dram": 'idle_power_mw = 12.5\nidle_source = "chosen"\n'}
    told = words(run("lenet5-adder", "--accelerator", with_changes(tmp_path, **keys)))
    assert "idle nJ" in told
    assert "not priced: registers and wires inside the array, control, clock tree beyond the stated idle power" in told
    found = run("lenet5-adder", "--accelerator", with_changes(tmp_path, **keys), "--table", "all")
    assert "idle uJ" in words(found)


def test_activity_runs_images_whose_toggles_price_the_array():
    asked = ("lenet5-conv", "--table", "sg13g2-gates", "--json")
    seen, counted = (json.loads(run(*asked, *more).output) for more in (("--activity", "--limit", "6"), ()))
    assert [list(one) for one in (seen["array_energy_pj"][1], counted["array_energy_pj"][1])] == [
        ["layer", "zeros", "constant_pj", "zero_share_pj", "toggles_pj"], ["layer", "zeros", "constant_pj", "zero_share_pj"]
    ]  # fmt: skip
    arrays = {layer["name"]: layer["energy_pj"].get("array") for layer in seen["layers"]}
    for one in seen["array_energy_pj"]:
        assert arrays[one["layer"]] == pytest.approx(one["toggles_pj"])
        assert one["toggles_pj"] == pytest.approx(one["zero_share_pj"], rel=0.15)
        assert one["toggles_pj"] != pytest.approx(one["zero_share_pj"], rel=1e-4)


def test_what_activity_cannot_run_is_refused(tmp_path):
    message = "--data, --root and --limit: say which images --activity runs; give it too"
    for option in (("--limit", "5"), ("--data", "mnist"), ("--root", str(tmp_path))):
        assert refused(*option) == message
    assert refused("--activity", "--accelerator", "nvdla-large").startswith(
        "activity: accelerator 'nvdla-large' is a broadcast array, whose lanes take taps side by side; the order is known of"
    )
    topology = tmp_path / "t.csv"
    topology.write_text("Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\n"
                        "a, 8, 8, 3, 3, 2, 4, 1,\n")  # fmt: skip
    found = run(str(topology), "--activity")
    assert str(found.exception) == "--activity: a SCALE-Sim topology has no weights, and nothing to run; name a network"
