"""A few of the random TFLite files, beside LiteRT's reference kernels; where that is installed."""

import pytest

pytest.importorskip("tflite")
pytest.importorskip("ai_edge_litert")

from tests.properties.random_search import FOUND
from tests.properties.tflite_graphs import examine


def _check(seeds, folder):
    found = [examine(seed, folder) for seed in seeds]
    assert not [one for one in found if one.startswith(FOUND)]
    assert found.count("equal") > len(seeds) // 2


def test_random_files_have_the_codes_of_litert_or_are_refused(tmp_path):
    _check(range(30), tmp_path)


@pytest.mark.slow
def test_many_random_files(tmp_path):
    _check(range(100, 1100), tmp_path)
