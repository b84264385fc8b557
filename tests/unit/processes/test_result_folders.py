"""Folders of results: one kind each, one writer at a time, and nothing is left where nothing was written."""

import os

import pytest

from addersim.errors import ConfigError
from addersim.processes.result_folders import MARKS, check_kind, held
from tests.command_line import call, refused

NAMED = {
    "report": ("report", "lenet5-adder", "--data", "none", "-o"),
    "demo": ("demo", "-o"),
    "compare": ("compare", "lenet5-adder", "lenet5-conv", "-o"),
    "sweep": ("sweep", "lenet5-adder", "--bits", "8", "--images", 8, "-o"),
    "search": ("search", "lenet5-adder", "--images", 40, "--bits", "4,8", "--trials", 1, "-o"),
    "train": ("train", "lenet5-mnist", "data=fashion-mnist-2000", "-o"),
    "finetune": ("finetune", "lenet5-adder", "--images", 128, "--epochs", 1, "-o", "made.npz", "--page"),
}
"""Every verb that writes a folder with a page; the folder is still to be named."""
KINDS = {"report": "report", "demo": "report", "compare": "report", "sweep": "sweep", "search": "search"} | {
    "train": "training run",
    "finetune": "finetuning",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def needed(verb):
    for module in {"train": ("torch", "safetensors"), "finetune": ("torch",), "search": ("optuna",)}.get(verb, ()):
        pytest.importorskip(module)


@pytest.mark.parametrize("verb", NAMED)
def test_a_verb_refuses_a_folder_with_results_of_another_kind(verb, tmp_path):
    needed(verb)
    place = tmp_path / "there"
    place.mkdir()
    (place / "index.html").write_text("mine")
    for kind, mark in MARKS.items():
        if kind != KINDS[verb]:
            (place / mark).touch()
            told = f"{place}: holds a {kind} ({mark}), which a {KINDS[verb]} would mix with; name another folder"
            assert refused(*NAMED[verb], place) == told
            assert sorted(os.listdir(place)) == sorted(["index.html", mark])
            (place / mark).unlink()
    assert (place / "index.html").read_text() == "mine"
    assert not (tmp_path / "made.npz").exists()


@pytest.mark.parametrize("verb", NAMED)
def test_a_verb_refuses_a_folder_where_another_run_writes(verb, tmp_path):
    needed(verb)
    told = f"{tmp_path}: another run is writing there; wait for it, or choose another folder"
    with held(tmp_path, KINDS[verb]):
        assert refused(*NAMED[verb], tmp_path) == told
    assert os.listdir(tmp_path) == []


def test_what_a_report_is_known_by_is_what_it_writes(tmp_path):
    assert call(*NAMED["report"], "out").returncode == 0
    assert call(*NAMED["report"], "out").returncode == 0  # one report may replace another
    assert refused(*NAMED["sweep"], "out").startswith("out: holds a report (results.json)")


def test_a_sweep_is_known_by_what_it_writes_and_others_may_sweep_beside_it(tmp_path):
    with held("out", "sweep", together=True):
        assert call(*NAMED["sweep"], "out", "--jobs", 1).returncode == 0
    page = (tmp_path / "out" / "index.html").read_bytes()
    assert refused(*NAMED["report"], "out").startswith("out: holds a sweep (study.json)")
    assert refused(*NAMED["search"], "out").startswith("out: holds a sweep (study.json)")
    assert (tmp_path / "out" / "index.html").read_bytes() == page


def test_a_folder_that_stays_empty_is_removed_with_those_above_it(tmp_path):
    (tmp_path / "above").mkdir()
    with pytest.raises(ZeroDivisionError), held("above/a/b", "report"):
        assert (tmp_path / "above/a/b").is_dir()
        raise ZeroDivisionError
    assert os.listdir(tmp_path / "above") == []
    with held("above/a/b", "report"):
        (tmp_path / "above/a/kept").touch()
    assert os.listdir(tmp_path / "above/a") == ["kept"]


def test_a_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"^file: cannot be written to: a file stands in its place"), held("file", "report"):
        pass
    check_kind("file", "report")
