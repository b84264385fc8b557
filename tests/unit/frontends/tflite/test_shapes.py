"""What converters write in a roundabout way equals the same network written plainly, without LiteRT at hand."""

import numpy as np
import pytest

pytest.importorskip("tflite")

from addersim import lower_tflite
from tests.unit.frontends.tflite.shapes import BLOCKS, CENTRE, dealt, dilated, positions


def _scores(model, path, sizes):
    path.write_bytes(model.content())
    program = lower_tflite(path)
    images = np.random.default_rng(3).normal(0, 3, (4, *sizes)).astype(np.float32)
    return program.run(images)


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("depthwise", [False, True])
def test_pixels_dealt_out_and_put_back_are_a_dilated_convolution(tmp_path, depthwise, block):
    both = [_scores(make("INT8", depthwise, *block), tmp_path / "net.tflite", (4, 6, 7)) for make in (dealt, dilated)]
    assert len(np.unique(both[0])) > 20
    assert np.array_equal(*both)


@pytest.mark.parametrize("kind", CENTRE)
def test_sizes_that_a_file_computes_are_those_of_one_that_says_them(tmp_path, kind):
    both = [_scores(positions(kind, opened), tmp_path / "net.tflite", (6, 5)) for opened in (False, True)]
    assert len(np.unique(both[0])) > 20
    assert np.array_equal(*both)
