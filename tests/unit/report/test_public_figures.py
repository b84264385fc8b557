"""Figures in public: of a result, of several, and as files; large networks by module; labels and colours that tell apart."""

import inspect
from dataclasses import replace
from importlib.util import find_spec

import pandas as pd
import pytest

import addersim
from addersim import AddersimError, evaluate, figures, load_images, load_network, quantize, simulate
from addersim.report import figures as drawn
from addersim.report import report_page
from addersim.report.frames import Frames
from addersim.report.images import framed
from addersim.report.modules import by_module, module_names
from addersim.report.page.render import render_page
from addersim.report.style import labels_apart, network_colors
from tests.command_line import refused


@pytest.fixture(scope="module")
def results():
    found = []
    images = load_images("fashion-mnist-2000", limit=20)
    for name in ("lenet5-adder", "lenet5-conv"):
        network = load_network(name)
        program = quantize(network, images)
        run = simulate(program, images, network=network)
        found.append(evaluate(run.trace, simulation=run, program=program))
    return found


def test_every_figure_of_the_pages_is_public_and_draws(results):
    assert set(figures.__all__) == set(drawn.__all__)
    assert addersim.figures is figures
    for name in figures.__all__:
        draw = getattr(figures, name)
        one = next(iter(inspect.signature(draw).parameters)) == "result"
        figure = draw(results[1] if one else results)
        assert len(figure.data) > 0, name
    assert len(figures.energy_by_network(results[0]).layout.yaxis.ticktext) == 1
    with pytest.raises(TypeError, match=r"figures: result.* gives one"):
        figures.energy_by_layer(results[0].cost)


def test_files_of_figures_need_kaleido_before_anything_runs(tmp_path):
    if find_spec("kaleido"):
        pytest.skip("kaleido is installed")
    for verb in ("report", "compare"):
        assert refused(verb, "no-such-network", "--figures", tmp_path / "f") == (
            "figures: need kaleido and Chromium; install it with: pip install 'addersim[figures]'"
        )


def test_figures_become_files_with_their_captions(results, tmp_path):
    pytest.importorskip("kaleido")
    (part,) = (one for one in report_page(results, Frames.of(results), "t", {}).parts if one.key == "energy")
    alone = replace(part, rows=(part.rows[0][:1],), inside=())
    paths = addersim.report.write_figures([alone], tmp_path)
    assert sorted(path.name for path in paths) == ["energy-by-component.png", "energy-by-component.svg"]
    assert "By component" in (tmp_path / "energy-by-component.svg").read_text()


def test_a_figure_that_stands_alone_has_its_caption_and_room_for_its_keys(results):
    figure = figures.energy_by_network(results)
    whole = framed(figure, "By component")
    assert whole.layout.title.text == "By component"
    assert whole.layout.height > figure.layout.height
    assert whole.layout.paper_bgcolor == "white"


def test_modules_stand_for_the_stages_of_a_large_network(results):
    names = [f"block{one}.conv{other}" for one in range(12) for other in range(5)]
    assert len(set(module_names(names).values())) == 12
    energy = Frames.of(results).energy
    mine = energy[energy["network"] == "lenet5-conv"].iloc[[0]]
    large = pd.concat([mine.assign(stage=name, layer=name, energy_pj=1000.0 * place) for place, name in enumerate(names)])
    figure = drawn.energy_by_layer(by_module(large), "lenet5-conv")
    assert len(figure.layout.yaxis.ticktext) == 12
    assert sum(figure.data[0].x) == pytest.approx(sum(range(60)))
    assert by_module(energy)["stage"].tolist() == energy["stage"].tolist()


def test_labels_that_would_look_alike_are_told_apart():
    names = ["features.block.very.long.name.of.a.stage.1.conv", "features.block.very.long.name.of.b.stage.1.conv"]
    assert labels_apart(names) == ["a", "b"]
    middles = [f"layer{one}_{'x' * 40}_end" for one in "ab"]
    assert len(set(labels_apart(middles))) == 2
    assert labels_apart(["conv1"]) == ["conv1"]


def test_the_same_arithmetic_has_the_same_color_on_every_page():
    alone, both = network_colors({"n": "mac"}), network_colors({"m": "l1", "n": "mac"})
    assert alone["n"] == both["n"]
    assert len(set(network_colors(dict.fromkeys("abcd", "l1")).values())) == 4


def test_a_page_says_in_words_what_its_figures_show_and_saves_them(results):
    text = render_page(results, Frames.of(results), "t", {})
    assert text.count('role="img"') == text.count('class="plot"') > 10
    assert 'aria-label="By component: bars of energy of one image, nJ; by array, vector unit, buffers, DRAM"' in text
    assert text.count('data-format="svg"') == text.count('data-format="png"') == text.count('class="plot"')
    assert text.index('id="summary"') < text.index('id="energy"')
    assert 'class="dotted"' in text
    assert "prefers-color-scheme: dark" in text


@pytest.mark.parametrize("name", figures.__all__)
@pytest.mark.parametrize("given", [None, 3, "x", [], {}, [None]])
def test_what_is_no_result_is_refused_in_one_line(name, given):
    with pytest.raises(AddersimError, match=r"^(figures|compare): .*; [^\n]+$"):
        getattr(figures, name)(given)
