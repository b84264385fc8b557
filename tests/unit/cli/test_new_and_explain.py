"""Files to begin with run as they are; words and columns are explained; lists show one name, and its file."""

import json

import numpy as np
import pytest

from addersim.config import bundled_names
from addersim.exploration.sweeps.study import load_study
from addersim.glossary import find_term, glossary
from addersim.hardware.load import load_accelerator
from tests.command_line import call, refused


def test_a_new_accelerator_runs_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = call("new", "accelerator")
    assert found.returncode == 0
    assert found.stdout.splitlines() == [
        "accelerator: accelerator.toml",
        "run it: addersim estimate lenet5-adder --accelerator accelerator.toml",
    ]
    text = (tmp_path / "accelerator.toml").read_text()
    assert text.count("#") > 5
    assert call("check", "accelerator.toml").returncode == 0
    assert call("estimate", "lenet5-adder", "--accelerator", "accelerator.toml").returncode == 0
    assert refused("new", "accelerator").startswith("new accelerator: accelerator.toml is there already; name another file")
    (tmp_path / "accelerator.toml").write_text("mine")
    assert call("new", "accelerator", "--force").returncode == 0
    assert (tmp_path / "accelerator.toml").read_text() == text
    assert call("new", "accelerator", "-").stdout == text


@pytest.mark.parametrize(("name", "found"), [("x.csv", "ends in .csv"), ("x", "has no ending")])
@pytest.mark.parametrize("kind", ["accelerator", "sweep", "study"])
def test_a_new_file_has_the_ending_of_what_is_in_it(kind, name, found, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = f"new {kind}: {name} {found}, and what is written is TOML; name it x.toml"
    assert refused("new", kind, name) == refused("new", kind, name, "--force") == told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('networks = ["lenet5-adder"]\nbits = "8"', "sweep"),
        ('weight_bits = 4\n[layers."conv1"]\nweight_bits = 8', "rules of quantisation"),
        ('accumulator = {bits = 16, overflow = "wrap"}', "rules of quantisation"),
        ('products = "table.npy"\nname = "cut"', "multiplier"),
    ],
)
def test_a_file_of_any_kind_is_checked_as_what_it_is(tmp_path, text, holds):
    np.save(tmp_path / "table.npy", np.multiply.outer(np.arange(256), np.arange(256)))
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert json.loads(call("check", path, "--json").stdout)[0]["holds"] == holds
    path.write_text(f"{text}\nwrong = 1" if "[" not in text else f"wrong = 1\n{text}")
    assert "unknown key wrong" in refused("check", path)


def test_every_template_passes_check(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    names = {"accelerator": "accelerator", "sweep": "sweep", "study": "training study"}
    assert set(names) == set(bundled_names("templates", ".toml"))
    for kind, holds in names.items():
        assert call("new", kind).returncode == 0
        assert json.loads(call("check", f"{kind}.toml", "--json").stdout)[0]["holds"] == holds


def test_every_template_is_offered_and_sound(tmp_path):
    pytest.importorskip("torch")
    from addersim.train.recipe import load_recipe

    readers = {"accelerator": load_accelerator, "sweep": load_study, "study": load_recipe}
    assert set(readers) == set(bundled_names("templates", ".toml"))
    for kind, read in readers.items():
        path = tmp_path / f"my {kind}.toml"
        assert call("new", kind, path).returncode == 0
        read(str(path))
    assert refused("new", "acelerator") == "new 'acelerator': not one of accelerator, sweep, study; did you mean accelerator?"


def test_a_new_sweep_runs_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("new", "sweep").returncode == 0
    found = call("sweep", "sweep.toml", "--images", 5, "--jobs", 1, "-o", "out", "--json")
    assert found.returncode == 0, found.stderr
    assert {row["bits"] if "bits" in row else row["weight_bits"] for row in json.loads(found.stdout)["points"]} == {4, 6, 8}


def test_words_are_found_by_any_of_their_names():
    for name, term in glossary().items():
        for word in (name, *term.also):
            assert find_term(word.upper())[0] == name
    found = call("explain", "bits_needed").stdout
    assert found.startswith("bits needed: ")
    assert call("explain", "array", "nJ").stdout.startswith("array: ")
    assert json.loads(call("explain", "tap", "--json").stdout)["where"] != []
    assert "did you mean utilisation?" in refused("explain", "utilization")
    assert set(json.loads(call("explain", "--json").stdout)) == set(glossary())


def test_a_column_or_key_is_explained_with_whose_it_is_before_it():
    assert json.loads(call("explain", "conv1.weight_bits", "--json").stdout)["word"] == "weights"
    assert json.loads(call("explain", "buffers.*.capacity_kib", "--json").stdout)["word"] == "capacity_kib"
    assert refused("explain", "conv1.mystery").startswith("explain 'conv1.mystery': is not in the glossary")


def test_keys_of_an_accelerator_file_are_explained_too():
    found = " ".join(call("explain", "dram.bandwidth_gb_s").stdout.split())
    assert found.startswith("bandwidth_gb_s: ")
    assert "[dram] of an accelerator file" in found
    assert call("explain", "clock_mhz").returncode == 0


def test_a_list_shows_one_name_and_its_file(tmp_path):
    assert json.loads(call("list", "accelerators", "tpu-v1", "--json").stdout)["accelerators"][0]["name"] == "tpu-v1"
    text = call("list", "accelerators", "tpu-v1", "--toml").stdout
    (tmp_path / "own.toml").write_text(text)
    assert load_accelerator(tmp_path / "own.toml") == load_accelerator("tpu-v1")
    assert call("list", "sweeps", "bit-widths", "--toml").stdout.startswith("about = ")
    assert "did you mean tpu-v1?" in refused("list", "accelerators", "tpu-v2")
    assert refused("list", "networks", "lenet5-conv", "--toml").startswith(
        "--toml: prints the file of one name; needs a kind of"
    )
