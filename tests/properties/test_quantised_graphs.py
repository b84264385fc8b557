"""A few of the random quantised graphs of each style, beside their framework; where that is installed."""

import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.properties.quantised_graphs import examine
from tests.properties.random_search import FOUND

STYLES = ("qdq", "qoperator", "qonnx")


def _check(style, seeds, folder):
    if style == "qonnx":
        pytest.importorskip("qonnx")
    found = [examine(style, seed, folder) for seed in seeds]
    assert not [one for one in found if one.startswith(FOUND)]
    assert sum(one.startswith("equal") for one in found) > len(seeds) // 3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("style", STYLES)
def test_random_quantised_graphs_have_the_codes_of_their_framework_or_are_refused(style, tmp_path):
    _check(style, range(30), tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("style", STYLES)
def test_many_random_quantised_graphs(style, tmp_path):
    _check(style, range(100, 1100), tmp_path)
