"""--figures: the same option, and the same files, in every verb that writes a page. What draws is a double here."""

import re
import sys
from types import ModuleType
from unittest import mock

import plotly.graph_objects as go
import pytest

from addersim.report.images import write_figures
from addersim.report.section import Section
from tests.command_line import call, refused

SMALL = {
    "demo": ["--output"],
    "report": ["lenet5-conv", "--data", "none", "--output"],
    "compare": ["lenet5-adder", "lenet5-conv", "--output"],
    "sweep": ["lenet5-adder", "--bits", "8", "--images", 8, "--jobs", 1, "--output"],
    "search": ["lenet5-adder", "--bits", "4,8", "--images", 40, "--trials", 2, "--out"],
    "train": ["lenet5-fashion-mnist", "data=fashion-mnist-2000", "epochs=1", "batch=32", "limit=64", "--output"],
    "finetune": ["lenet5-conv", "--images", 32, "--batch", 32, "--epochs", 1, "--page"],
}
"""A small call of each verb that writes a page, its folder last."""
TORCH = {"train", "finetune"}
OUTPUT = {"finetune": "program.npz"}


@pytest.fixture
def browser(monkeypatch):
    """A kaleido whose pictures are a figure's caption, and where its browser is."""
    kaleido, chromium = ModuleType("kaleido"), ModuleType("choreographer.browsers.chromium")
    kaleido.start_sync_server = kaleido.stop_sync_server = lambda silence_warnings: None
    kaleido.calc_fig_sync = lambda figure, opts: f"{opts['format']}: {figure.layout.title.text}".encode()
    chromium.Chromium = mock.Mock(find_browser=lambda skip_local: "/usr/bin/chromium")
    packages = [ModuleType(name) for name in ("choreographer", "choreographer.browsers")]
    for one in (kaleido, chromium, *packages):
        monkeypatch.setitem(sys.modules, one.__name__, one)
    return chromium.Chromium


@pytest.mark.parametrize("verb", SMALL)
def test_each_figure_of_a_page_is_two_files(verb, browser, tmp_path):
    if verb in TORCH:
        pytest.importorskip("torch")
    folder = tmp_path / "page"
    also = ["--output", tmp_path / OUTPUT[verb]] if verb in OUTPUT else []
    given = [verb, *SMALL[verb], folder, *also, "--figures", tmp_path / "drawn"]
    with mock.patch("addersim.cli.demo.DATA", "none"):  # all its images would take seconds
        found = call(*given)
    assert found.returncode == 0, found.stderr
    captions = re.findall(r"<figcaption>(.*?)<", (folder / "index.html").read_text(encoding="utf-8"))
    assert captions
    files = sorted((tmp_path / "drawn").iterdir())
    assert [one.suffix for one in files] == [".png", ".svg"] * len(captions)
    drawn = sorted(one.read_text() for one in files if one.suffix == ".svg")
    assert drawn == sorted(f"svg: {one.replace('&#x27;', chr(39))}" for one in captions)
    assert f"figures: {tmp_path / 'drawn'}" in found.stdout


@pytest.mark.parametrize("verb", SMALL)
def test_figures_that_cannot_be_drawn_are_refused_before_anything_runs(verb, browser, tmp_path):
    if verb in TORCH:
        pytest.importorskip("torch")
    also = ["--output", tmp_path / OUTPUT[verb]] if verb in OUTPUT else []
    browser.find_browser = lambda skip_local: None
    told = refused(verb, *SMALL[verb], tmp_path / "page", *also, "--figures", tmp_path / "drawn")
    assert told.startswith("figures: kaleido finds no Chromium or Chrome; install one, or name its program in")
    sys.modules["kaleido"] = None
    told = refused(verb, *SMALL[verb], tmp_path / "page", *also, "--figures", tmp_path / "drawn")
    assert told == "figures: need kaleido and Chromium; install it with: pip install 'addersim[figures]'"
    assert not list(tmp_path.iterdir())


def test_a_probe_has_no_figures(tmp_path, browser):
    pytest.importorskip("torch")
    told = refused("train", "lenet5-mnist", "--probe", "gradients", "--figures", tmp_path / "drawn")
    assert told == "--figures: a probe has no page; leave it out"


def test_figures_whose_captions_read_alike_are_files_apart(browser, tmp_path):
    named = ["a+b", "a-b", "A B", "x" * 300]
    part = Section("s", "Section", "", (tuple((one, go.Figure(layout={"height": 300})) for one in named),))
    files = write_figures([part], tmp_path)
    assert [one.stem for one in files if one.suffix == ".svg"] == ["s-a-b", "s-a-b-2", "s-a-b-3", "s-" + 78 * "x"]
    assert len(set(tmp_path.iterdir())) == len(files) == 8
