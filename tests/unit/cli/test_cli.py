"""The command line: what it prints, and how it refuses."""

import json
import re
import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from addersim import Network, load_network
from addersim.arithmetic.datapaths import DATAPATHS
from addersim.cli import app
from tests.command_line import call, refused
from tests.unit.networks import residual

VERBS = (
    "demo",
    "simulate",
    "count",
    "estimate",
    "designs",
    "compare",
    "compare-rounding",
    "sweep",
    "search",
    "report",
    "lower",
    "export",
    "multiplier",
    "check",
    "list",
)


def run(*arguments):
    """Status, standard output and standard error of a command line, in this process."""
    found = CliRunner().invoke(app, [str(one) for one in arguments], catch_exceptions=False)
    return found.exit_code, found.stdout, found.stderr


def document(*arguments):
    status, output, _ = run(*arguments, "--json")
    assert status == 0
    return json.loads(output)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb):
    status, output, _ = run(verb, "--help")
    assert status == 0
    assert "Usage" in output
    assert "--json" in output
    assert "[default: no-" not in output


def test_the_list_of_verbs_cuts_no_text_and_options_have_room(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert "..." not in run("--help")[1].partition("Commands:")[2]
    assert len(run("simulate", "--help")[1].splitlines()) < 100  # 165 where texts are 18 letters wide


COMMANDS = typer.main.get_command(app).commands


def numbers(verb):
    """Options of a verb that take numbers, and the least that each allows where that is said."""
    callback = next(one.callback for one in app.registered_commands if one.name == verb)
    for name, hint in typing.get_type_hints(callback, include_extras=True).items():
        kind, info = (*typing.get_args(hint), None)[:2] if typing.get_origin(hint) is typing.Annotated else (hint, None)
        if isinstance(info, typer.models.OptionInfo) and re.search(r"\b(int|float)\b", str(kind)):
            option = next(one for one in COMMANDS[verb].params if one.name == name)
            yield pytest.param(verb, option.opts[0], info.min, id=f"{verb} {option.opts[0]}")


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_tells_a_wrong_option_in_one_line(verb):
    more = f"; addersim {verb} --help shows what is allowed"
    line = refused(verb, "--qqqqqq")
    assert line.startswith(f"{verb}: no such option: --qqqqqq; ")
    assert line.endswith(more)
    if any(one.required for one in COMMANDS[verb].params):
        line = refused(verb)
        assert line.startswith(f"{verb}: missing ")
        assert line.endswith(more)


def test_an_option_that_a_verb_lacks_is_told_with_the_nearest_that_it_has():
    assert refused("simulate", "--limt", "3").startswith("simulate: no such option: --limt; did you mean --limit?; addersim")
    assert refused("search", "--objective", "energy").startswith("search: no such option: --objective; addersim search --help")
    assert refused("train", "lenet5-mnist", "--epochs", "1").startswith(
        "train: no such option: --epochs; values of a study are written without dashes, as epochs=VALUE; addersim train --help"
    )
    assert refused("simulate", "lenet5-adder", "--limit").startswith("simulate: option '--limit' requires an argument; ")
    assert refused("train", "lenet5-mnist", "batch_size=2", "-o", "never").endswith("did you mean batch?")
    assert refused("simulatee").startswith("no such command 'simulatee'; did you mean 'simulate'")
    assert refused("simulate", "lenet5-adder", "--accumulator", "16:saturat").endswith("did you mean 16:saturate?")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("simulate", "lenet5-conv", "--layer", "conv1=8/8", "--layer", "conv1=4/4"),
            "--layer: found 'conv1' twice; give",
        ),
        (("designs", "lenet5-conv", "--vary", "clock_mhz=250,250"), "--vary clock_mhz: found 250 twice; give each value once"),
        (("compare-rounding", "lenet5-conv", "ort", "ort"), "compare-rounding: found ort twice; give two rules"),
    ],
    ids=lambda one: one[0],
)
def test_what_is_given_twice_is_told(arguments, message):
    assert refused(*arguments).startswith(message)


def test_a_folder_is_no_file_to_check(tmp_path):
    assert refused("check", tmp_path) == f"{tmp_path}: is a folder; check takes files, such as {tmp_path}/*"


def test_what_a_verb_writes_goes_where_the_same_option_says():
    found = {name: one.opts for name, verb in COMMANDS.items() for one in verb.params if one.name in {"out", "output"}}
    assert len(found) >= 9
    assert {name: set(options) - {"--out"} for name, options in found.items()} == {name: {"--output", "-o"} for name in found}


@pytest.mark.parametrize(("verb", "option", "least"), [case for verb in COMMANDS for case in numbers(verb)])
def test_every_number_that_is_none_or_out_of_range_is_told_with_what_was_found(verb, option, least):
    start = f"{verb}: {option}: found "
    assert refused(verb, option, "nine").startswith(f"{start}'nine'; ")
    assert refused(verb, f"{option}=nine").startswith(f"{start}'nine'; ")
    if least is not None:
        assert refused(verb, option, least - 1).startswith(f"{start}'{least - 1}'; ")


def test_a_wrong_verb_is_told_and_none_at_all_shows_the_help():
    assert refused("nope").startswith("no such command 'nope'; addersim --help shows")
    found = call()
    assert found.returncode == 2
    assert "Usage: addersim" in found.stdout


@pytest.mark.parametrize("arguments", [("check", "nothing.npz"), ("count", "lenet5-adder", "--json"), ("count", "--qqqqqq")])
def test_a_process_of_its_own_ends_as_its_main_does_here(arguments):
    found = subprocess.run([sys.executable, "-m", "addersim", *arguments], capture_output=True, text=True, check=False)
    here = call(*arguments)
    assert (found.returncode, found.stdout, found.stderr) == (here.returncode, here.stdout, here.stderr)


def test_simulate_prints_what_was_promised():
    found = document("simulate", "lenet5-adder", "--limit", 200, "--bits", 8)
    assert {"accuracy_float", "accuracy", "agreement", "images", "layers"} <= found.keys()
    assert found["images"] == 200
    assert found["agreement"] > 0.95
    assert abs(found["accuracy"] - found["accuracy_float"]) <= 0.02
    assert all(layer["observed"]["bits_needed"] <= layer["accumulator_bits"] for layer in found["layers"] if layer["datapath"])
    status, output, _ = run("simulate", "lenet5-adder", "--limit", 50)
    assert status == 0
    assert "fixed-point accuracy" in output


@pytest.mark.parametrize("name", ["lenet5-adder", "lenet5-conv"])
def test_eight_bits_lose_at_most_half_a_point_on_all_embedded_images(name):
    found = document("simulate", name)
    assert found["images"] == 2000
    assert found["accuracy"] >= found["accuracy_float"] - 0.005


def test_the_slow_twins_give_the_same_simulation():
    options = ("simulate", "lenet5-adder", "--limit", 20, "--bits", 5, "--accumulator", "12:saturate")
    assert document(*options) == document(*options, "--reference")


def test_threads_change_nothing():
    options = ("simulate", "lenet5-conv", "--limit", 150, "--accumulator", "14:wrap")
    assert document(*options, "--threads", 1) == document(*options, "--threads", 2)


def test_narrow_accumulators_are_seen():
    found = document("simulate", "lenet5-adder", "--limit", 100, "--accumulator", "12:saturate")
    layers = {layer["name"]: layer for layer in found["layers"]}
    assert layers["fc1"]["observed"]["overflowed"] > 0
    assert layers["fc1"]["observed"]["bits_needed"] > 12


def test_count_prints_totals_and_layers():
    found = document("count", "lenet5-adder", "--convention", "paper")
    assert found["operations"] == {"add": 833_040}
    assert found["taps"] == 416_520
    assert found["taps_by_datapath"] == {"l1-2a": 416_520}
    assert sum(layer["taps"] for layer in found["layers"]) == 416_520
    assert document("count", "lenet5-conv", "--convention", "paper")["operations"] == {"add": 416_520, "mul": 416_520}
    assert document("count", "lenet5-adder")["operations"]["mul"] == 4704 + 1600 + 120 + 84 + 10  # batch norm is billed


def test_estimate_prints_scale_sims_numbers_on_request():
    found = document("estimate", "lenet5-conv", "--compat", "scalesim")
    conv = next(layer for layer in found["layers"] if layer["taps"])
    assert (found["compat"], found["energy_pj"]["total"]) == ("scalesim", 0)
    assert conv["cycles"] == 49 * (16 + 16 + 25 - 2) - 1  # 784 pixels on 16 rows, 6 filters, 25 taps


@pytest.mark.parametrize(("option", "value"), [("--depth", 1), ("--top", 2), ("--node", 45)])
def test_options_that_change_nothing_in_scale_sims_numbers_are_refused(option, value):
    said = refused("estimate", "lenet5-conv", "--compat", "scalesim", option, value)
    assert f"{option}: changes nothing in what --compat scalesim prints" in said


def test_estimate_prints_totals_parts_and_layers():
    found = document("estimate", "lenet5-conv", "--accelerator", "systolic-32x32", "--table", "qtools-45nm", "--bits", 6)
    assert {"energy_pj", "cycles", "latency_ms", "layers"} <= found.keys()
    parts = {name: value for name, value in found["energy_pj"].items() if name != "total"}
    assert sum(parts.values()) == found["energy_pj"]["total"]
    assert sum(layer["energy_pj"]["total"] for layer in found["layers"]) == found["energy_pj"]["total"]
    assert sum(layer["cycles"] for layer in found["layers"]) == found["cycles"]


def test_report_writes_page_tables_and_json(tmp_path):
    found = document("report", "lenet5-adder", "--limit", 50, "--output", tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"index.html", "results.json", "layers.csv", "energy.csv", "operations.csv", "ranges.csv"} <= names
    assert found["results"][0]["simulation"]["images"] == 50
    page = (tmp_path / "out" / "index.html").read_text()
    assert "lenet5-adder" in page


def test_a_saved_program_runs_as_it_was_saved(tmp_path):
    path = tmp_path / "program.npz"
    first = document("simulate", "lenet5-adder", "--limit", 60, "--bits", 6, "--save-program", path)
    again = document("simulate", path, "--limit", 60)
    assert again["accuracy"] == first["accuracy"]
    assert again["accuracy_float"] is None
    assert document("check", path)[0]["holds"] == "program"


def test_list_knows_every_kind():
    found = document("list")
    assert {row["name"] for row in found["networks"]} >= {"lenet5-adder", "lenet5-conv"}
    assert {row["name"] for row in found["datapaths"]} == set(DATAPATHS)
    assert sum(row["in use"] == "yes" for row in found["kernels"]) == 1
    rows = {row.pop("name"): row for row in found["architectures"]}  # none where torch is not installed
    if rows:
        about = "MobileNetV2, arXiv 1801.04381"
        assert rows["mobilenetv2"] == {"input": "3 x 224 x 224", "classes": 1000, "about": about}
        assert "ARCHITECTURE-xnor" in {row["name"] for row in found["arithmetics"]}
    for kind in found:
        assert run("list", kind)[0] == 0


def test_rules_come_from_a_file_and_options_override_them(tmp_path):
    rules = tmp_path / "rules.toml"
    rules.write_text('activation_bits = 6\nweight_bits = 6\ncircuit = "xor"\n[layers.fc1]\nweight_bits = 4\n')
    found = document("simulate", "lenet5-adder", "--limit", 40, "--rules", rules, "--weight-bits", 5)
    formats = {layer["name"]: layer["output_format"] for layer in found["layers"]}
    assert formats["conv1_relu"].startswith("u6*")
    assert {layer["datapath"] for layer in found["layers"] if layer["datapath"]} == {"l1-xor"}


@pytest.fixture
def network_file(tmp_path):
    path = tmp_path / "net.npz"
    residual().save(path)
    return path


def edited(path, **changes):
    text = path.read_text()
    for find, put in changes.values():
        assert find in text
        text = text.replace(find, put)
    path.write_text(text)
    return path


@pytest.fixture
def accelerator_file(tmp_path):
    import addersim

    source = Path(addersim.__file__).parent / "data" / "accelerators" / "systolic-16x16.toml"
    path = tmp_path / "mine.toml"
    path.write_text(source.read_text())
    return path


def test_bad_files_are_refused_in_one_line(tmp_path, network_file):
    truncated = tmp_path / "short.npz"
    truncated.write_bytes(network_file.read_bytes()[:-200])
    assert "truncated or altered" in refused("simulate", truncated)
    pickled = tmp_path / "evil.npz"
    pickled.write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    assert "not a whole .npz file" in refused("check", pickled)
    objects = tmp_path / "objects.npz"
    np.savez(objects, a=np.array([{}], dtype=object), allow_pickle=True)
    assert "holds Python objects" in refused("count", objects)
    assert "takes images of 2 x 10 x 12 in 5 classes; name some with --data: your own" in refused("simulate", network_file)
    assert not (tmp_path / "pwned").exists()


def test_nan_weights_are_refused(tmp_path):
    path = tmp_path / "nan.npz"
    load_network("lenet5-conv").save(path)
    with np.load(path) as stored:
        arrays = {name: stored[name].copy() for name in stored.files}
    arrays["array0"].flat[0] = np.inf
    np.savez(path, **arrays)
    assert "layer conv1: weights holds 1 NaN or infinite values of 150" in refused("simulate", path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("simulate", "lenet5-adder", "--bits", 17), "--bits: found 17; needs a whole number in 2..16"),
        (("simulate", "lenet5-adder", "--bits", 1), "--bits: found 1; needs a whole number in 2..16"),
        (("simulate", "lenet5-adder", "--accumulator", "7:wrap"), "accumulator: found 7, needs a whole number in 8..48"),
        (("simulate", "lenet5-adder", "--accumulator", "16:clip"), "accumulator: '16:clip' is not exact, BITS or BITS:exact"),
        (
            ("simulate", "lenet5-adder", "--accumulator", "12"),
            "layer conv1: the accumulator has 12 bits and its worst case needs",
        ),
        (("simulate", "lenet5-adder", "--layer", "fc9=4/4"), "layers.fc9: no window layer has this name; known: conv1, conv2"),
        (("simulate", "lenet5-adder", "--layer", "fc1=4"), "--layer 'fc1=4': expected NAME=WEIGHT_BITS/ACTIVATION_BITS"),
        (
            ("simulate", "lenet5-adder", "--circuit", "3a"),
            "--datapath: unknown datapath '3a'; known: l1-2a, l1-1c1a, l1-xor, mac",
        ),
        (("simulate", "lenet5-adder", "--data", "svhn"), "'svhn' is not known; known: mnist, fashion-mnist"),
        (("simulate", "lenet5-adder", "--data", "mnist", "--root", "/nowhere"), "not found in /nowhere"),
        (("simulate", "lenet6"), "network 'lenet6': neither a bundled name (lenet5-adder, lenet5-conv"),
        (("count", "lenet5-adder", "--convention", "thop"), "convention: 'thop' is not one of hardware, paper"),
        (
            ("estimate", "lenet5-adder", "--accelerator", "tpu"),
            "'tpu': neither a bundled name (diannao-like, edge-unified-32x32, ethos-u55-256-like, eyeriss-65nm",
        ),
        (("estimate", "lenet5-adder", "--table", "mine"), "'mine': neither a bundled name (aladdin-cacti-16nm"),
        (("list", "cats"), "list 'cats': not one of networks, architectures"),
        (("count", "mobilenetv9"), "nor a file; architectures: addersim list architectures"),
        (
            ("lower", "resnet20-conv", "-o", "x.npz", "--input-shape", "3,64,64"),
            "resnet20-conv: takes images of (3, 32, 32); found (3, 64, 64)",
        ),
        (("check", "nothing.npz"), "nothing.npz: no such file"),
        (("check", "README.md"), "README.md: cannot tell what it is; known endings: .npz, .onnx, .tflite, .toml, .cfg, .csv"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_bad_options_are_refused_in_one_line(arguments, message):
    assert message in refused(*arguments)


@pytest.mark.parametrize(
    ("find", "put", "message"),
    [
        ("clock_mhz = 500", "clock_mhz = -5", "clock_mhz"),
        ("rows = 16", "rows = 0", "array.rows"),
        ("rows = 16", "rows = 16\nrowz = 1", "rowz"),
        ("[array]", "[array", "not valid TOML"),
    ],
)
def test_bad_accelerators_are_refused_in_one_line(accelerator_file, find, put, message):
    edited(accelerator_file, change=(find, put))
    found = refused("estimate", "lenet5-adder", "--accelerator", accelerator_file)
    assert message in found
    assert str(accelerator_file) in found


def test_a_table_without_a_needed_row_names_it(tmp_path):
    import addersim

    source = Path(addersim.__file__).parent / "data" / "energy" / "horowitz-45nm.csv"
    lines = [line for line in source.read_text().splitlines() if ",mux," not in line]
    path = tmp_path / "short.csv"
    path.write_text("\n".join(lines) + "\n")
    found = refused("estimate", "lenet5-adder", "--table", path)
    assert "mux" in found
    assert "conv1" in found


def test_nothing_is_left_behind_by_a_failed_report(tmp_path):
    refused("report", "lenet5-adder", "nothing", "--output", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_pixel_too_many_and_a_label_out_of_range():
    from addersim import Quantization, load_images, quantize, simulate
    from addersim.errors import DataError

    network, images = load_network("lenet5-adder"), load_images("fashion-mnist-2000", limit=8)
    program = quantize(network, images.pixels, Quantization())
    with pytest.raises(DataError, match=r"labels: image 3 has label 10; allowed are 0\.\.9"):
        simulate(program, images.pixels, [0, 1, 2, 10, 4, 5, 6, 7], network)
    with pytest.raises(DataError, match=r"labels: int64 of shape \(7,\); expected 8 whole numbers"):
        simulate(program, images.pixels, images.labels[:7])
    with pytest.raises(DataError, match=r"images have shape \(8, 1, 28, 27\)"):
        simulate(program, images.pixels[..., :27])
    with pytest.raises(DataError, match="images are a float64 array; expected uint8 pixels or normalised float32"):
        simulate(program, images.pixels / 255.0)
    with pytest.raises(DataError, match="no images to simulate"):
        simulate(program, images.pixels[:0])
    assert isinstance(network, Network)


def test_a_table_under_which_larger_is_cheaper_is_refused(tmp_path):
    rows = ("sram,access,,8,20,pJ/64bit,45,,exact,lab", "sram,access,,64,10,pJ/64bit,45,,exact,lab")
    header = "component,op,bits,capacity_kib,energy_pj,unit,node_nm,voltage_v,rule,source"
    path = tmp_path / "lab.csv"
    path.write_text("\n".join((header, *rows)))
    assert refused("check", path) == (
        f"{path}: lines 2 and 3: sram access of 64 KiB costs 0.15625 pJ a bit, that of 8 KiB 0.3125 pJ a bit: "
        "larger is cheaper; correct it, or lower the smaller one to what can stand in for it"
    )
    path.write_text("\n".join((header, *rows)).replace(",8,20,", ",8,5,"))
    assert document("check", path)[0]["holds"] == "energy table"


def test_sweeps_that_train_are_checked_without_training(tmp_path):
    assert document("check", Path("reports/roads/combined.toml")) == [
        {"file": "reports/roads/combined.toml", "holds": "sweep that trains", "name": "combined", "size": "12 networks"}
    ]
    path = tmp_path / "mine.toml"
    path.write_text('bits = [8]\n[training]\nrecipe = "lenet5-mnist"\narchitecture = "lenet6"\n')
    assert "architecture" in refused("check", path)
    assert "lenet6" in refused("check", path)


def test_tables_are_listed_with_what_their_prices_hold_for():
    listed = {row["name"]: row for row in document("list", "tables")["tables"]}
    cacti = listed["aladdin-cacti-45nm"]
    assert (cacti["device"], cacti["temperature K"], cacti["corner"]) == ("itrs-lstp itrs-lop itrs-hp", "300", "1 ns")
    assert cacti["contains"] == "dynamic"
    assert (listed["horowitz-45nm"]["voltage V"], listed["horowitz-45nm"]["device"]) == ("0.9", "")
