"""A few of the random ONNX graphs; ``python -m tests.properties.onnx_graphs COUNT`` tries any number of them."""

import pytest

pytest.importorskip("onnx")

from tests.properties.onnx_graphs import examine


@pytest.mark.filterwarnings("ignore")
def test_random_graphs_are_lowered_rightly_or_refused(tmp_path):
    found = [
        examine(seed, tmp_path) for seed in (*range(150), 50719, 100457)
    ]  # onnx resizes the one wrongly; the other takes roots
    assert not [one for one in found if one.startswith(("WRONG", "RAW"))]
    assert found.count("lowered") > 100
