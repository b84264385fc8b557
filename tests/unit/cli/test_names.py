"""Names that are nearly right, the version, and topologies wherever a network's shapes are enough."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

import addersim
from addersim.cli.usage import not_utf_8_told
from tests.unit.cli.test_cli import document, refused, run

COLUMNS = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,"
TOPOLOGY = f"{COLUMNS}\nc1,16,16,3,3,8,16,1,\n"


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("estimate", "lenet5-ader"), "lenet5-adder"),
        (("count", "resnet20-addr"), "resnet20-adder"),
        (("count", "mobilenetv2-x0.35-cifar-ader"), "mobilenetv2-x0.35-cifar-adder"),
        (("estimate", "lenet5-adder", "--accelerator", "Systolic-16X16"), "systolic-16x16"),
        (("estimate", "lenet5-adder", "--table", "horowitz-45"), "horowitz-45nm"),
        (("simulate", "lenet5-adder", "--data", "fashionmnist"), "fashion-mnist"),
        (("simulate", "lenet5-adder", "--layer", "con1=4/4"), "conv1"),
        (("simulate", "lenet5-adder", "--datapath", "l1-1c1"), "l1-1c1a"),
        (("sweep", "bit-width"), "bit-widths"),
        (("list", "network"), "networks"),
        (("estimate", "lenet5-adder", "--accelerator", "tpu"), "tpu-v1"),
        (("estimate", "lenet5-adder", "--table", "horowitz"), "horowitz-45nm"),
        (("train", "lenet5-mnis", "--probe", "variance"), "lenet5-mnist"),
    ],
)
def test_the_nearest_name_is_told(arguments, near):
    assert refused(*arguments).rstrip().endswith(f"did you mean {near}?")


def test_an_architecture_without_its_arithmetic_is_told_the_whole_names():
    pytest.importorskip("torch")
    told = refused("estimate", "mobilenetv2")
    assert told.endswith("; did you mean mobilenetv2-adder or mobilenetv2-conv?")


def test_a_callable_and_the_file_of_own_code_that_are_nearly_right(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("class MyNet: pass\n")
    options = ("--input-shape", "1,8,8", "-o", "net.npz")
    assert refused("lower", "mine.py:MyNett", *options).endswith("; did you mean MyNet?")
    assert refused("lower", "mien.py:MyNet", *options).endswith("; did you mean mine.py?")


def test_a_file_that_is_there_but_for_its_ending_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text("")
    assert refused("estimate", "lenet5-adder", "--accelerator", "mine").endswith("; did you mean 'mine.toml'?")


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("estimate", "nett.npz"), "net.npz"),
        (("estimate", "net.npx"), "net.npz"),
        (("check", "nett.npz"), "net.npz"),
        (("check", "{}/nett.npz"), "{}/net.npz"),
        (("check", "frut/nett.npz"), "fruit"),
        (("simulate", "lenet5-adder", "--data", "friut"), "fruit"),
        (("simulate", "lenet5-adder", "--data", "fruit/trian"), "fruit/train"),
        (("estimate", "lenet5-adder", "--accelerator", "own.tml"), "own.toml"),
        (("sweep", "on.toml"), "own.toml"),
    ],
)
def test_the_nearest_file_is_told(arguments, near, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fruit/train").mkdir(parents=True)
    for name in ("net.npz", "own.toml"):
        (tmp_path / name).touch()
    told = refused(*(one.format(tmp_path) for one in arguments))
    assert told.endswith(f"; did you mean {near.format(tmp_path)}?")


def test_no_far_file_is_guessed_and_none_of_a_folder_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.npz").touch()
    assert "did you mean" not in refused("check", "weights.npz")
    assert "did you mean" not in refused("check", tmp_path / "weights.npz")


def test_an_ending_alone_makes_no_file_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "long.toml").touch()
    assert "did you mean" not in refused("check", "nothing.toml")
    assert refused("check", "lng.tml").endswith("; did you mean long.toml?")
    assert "did you mean" not in refused("check", "/no-such-folder/net.npz")
    (tmp_path / "link.npz").symlink_to("nowhere.npz")
    assert "did you mean" not in refused("estimate", "link.npz")


def test_a_value_behind_a_switch_is_told():
    told = refused("simulate", "lenet5-adder", "--resize", "32")
    assert told.startswith("simulate: --resize: is a switch, which takes no value; found 32;")


def test_a_misspelt_key_and_column_of_a_file(tmp_path):
    (tmp_path / "mine.toml").write_text('name = "mine"\nclock_mz = 500\n')
    assert "did you mean clock_mhz?" in refused("check", tmp_path / "mine.toml")
    rows = (Path(addersim.__file__).parent / "data/energy/aladdin-cacti-45nm.csv").read_text()
    (tmp_path / "mine.csv").write_text(rows.replace("device", "devise", 1))
    assert "did you mean device?" in refused("estimate", "lenet5-adder", "--table", tmp_path / "mine.csv")


def test_names_that_are_not_utf_8_are_printed_and_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open(os.fsdecode(b"b\xff.npz"), "wb") as own:
        np.savez(own, images=np.zeros((9, 1, 28, 28), np.uint8))
    options = ("lenet5-adder", "--limit", "1", "--data", own.name)
    assert r"b\\udcff" in json.dumps(document("simulate", *options))
    run("report", *options, "--output", "page")
    assert r"b\udcff" in Path("page/index.html").read_text("utf-8")


def test_a_name_that_cannot_be_kept_is_told():
    with pytest.raises(UnicodeEncodeError) as caught:
        ("x" * 100 + "b\udcff" + "y" * 100).encode()
    assert not_utf_8_told(caught.value).startswith(
        "'xxxxxxxxxxxxxxxxxxxb\\udcffyyyyyyyyyyyyyyyyyyyy': holds bytes that are not UTF-8"
    )


def test_far_names_get_no_guess():
    assert "did you mean" not in refused("estimate", "lenet5-adder", "--accelerator", "npu")


def test_the_version_and_completion():
    assert run("--version")[:2] == (0, f"addersim {addersim.__version__}\n")
    assert "--install-completion" in run("--help")[1]


def test_a_topology_is_a_design_for_each_datapath(tmp_path):
    (tmp_path / "net.csv").write_text(TOPOLOGY)
    found = document("compare", tmp_path / "net.csv", "lenet5-adder", "--datapath", "mac,l1-2a")
    assert [one["name"] for one in found["results"]] == ["net, mac", "net, l1-2a", "lenet5-adder"]
    mac, adder, _ = ({layer["datapath"] for layer in one["cost"]["layers"]} for one in found["results"])
    assert (mac, adder) == ({"mac"}, {"l1-2a"})
    alone = document("estimate", tmp_path / "net.csv", "--datapath", "l1-2a")
    assert found["results"][1]["cost"]["energy_pj"] == alone["energy_pj"]


def test_a_topology_has_a_page(tmp_path):
    (tmp_path / "net.csv").write_text(TOPOLOGY)
    found = document("report", tmp_path / "net.csv", "--datapath", "l1-2a", "--bits", 6, "--output", tmp_path / "page")
    (result,) = found["results"]
    assert result["cost"]["layers"][0]["datapath"] == "l1-2a"
    assert (tmp_path / "page" / "index.html").stat().st_size
    assert "takes one for all its layers" in refused("estimate", tmp_path / "net.csv", "--datapath", "mac,l1-2a")


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (("compare-rounding", "lenet5-conv", "tflit", "ort"), "tflite"),
        (("simulate", "lenet5-adder", "--rounding", "qonx"), "qonnx"),
        (("simulate", "lenet5-adder", "--correction", "means"), "mean"),
        (("simulate", "lenet5-adder", "--calibration", "percentil"), "percentile"),
        (("simulate", "lenet5-adder", "--weight-rounding", "neares"), "nearest"),
        (("estimate", "lenet5-adder", "--objective", "latencies"), "latency"),
        (("estimate", "lenet5-adder", "--pes", 64, "--size-for", "energi"), "energy"),
        (("count", "lenet5-adder", "--convention", "papers"), "paper"),
        (("sweep", "lenet5-adder", "--bits", 8, "--engine", "locall", "-o", "x"), "local"),
    ],
    ids=lambda one: " ".join(map(str, one)) if isinstance(one, tuple) else one,
)
def test_a_value_that_is_nearly_one_of_those_allowed_gets_it(arguments, near, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused(*arguments).endswith(f"; did you mean {near}?")


@pytest.mark.parametrize("verb", ["estimate", "report", "compare", "simulate", "lower"])
@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("net.pt", "holds weights of PyTorch, and no layers: addersim lower FILE.py:CALLABLE --weights net.pt --input-shape"),
        ("net.safetensors", "holds weights of PyTorch, and no layers: addersim lower"),
        (
            "net.pt2",
            "is an exported program of PyTorch: addersim lower FILE.py:CALLABLE, of a function that returns torch.exp",
        ),
        ("net.h5", "is of another tool, and not read; write it as ONNX or TFLite there, which are"),
    ],
)
def test_files_of_other_tools_are_known_and_what_to_do_with_them(verb, name, advice, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(b"PK\3\4 of something else")
    more = ("-o", "x.npz") if verb == "lower" else ()
    assert refused(verb, name, *more).startswith(f"{name}: {advice}")


def test_code_of_ones_own_is_lowered_first():
    told = refused("estimate", "net.py:Net")
    assert told.startswith("net.py:Net: is code of your own: addersim lower net.py:Net --input-shape CHANNELS,HEIGHT,WIDTH")


def test_a_saved_network_is_read_whatever_it_is_called(tmp_path):
    addersim.load_network("lenet5-conv").save(tmp_path / "net.pt")
    assert addersim.load_network(tmp_path / "net.pt").outputs == 10
