"""Values of several formats, joined and added: codes beside plain numpy, and refusals in one line."""

import numpy as np
import pytest

pytest.importorskip("tflite")

from addersim import lower_tflite
from addersim.errors import LoweringError
from tests.unit.frontends.tflite.networks import joined
from tests.unit.frontends.tflite.parts import subtracted


def _written(model, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(model.content())
    return path


@pytest.mark.parametrize("axis", [1, 3])
def test_unsigned_codes_of_another_scale_are_joined_with_ties_away_from_zero(axis, tmp_path):
    program = lower_tflite(_written(joined("UINT8", axis, 0.1), tmp_path))
    images = np.random.default_rng(3).integers(0, 256, (8, 4, 5, 3)).astype(np.uint8)
    found = dict(program.runs(np.moveaxis(images, -1, 1)))[program.layers[-1].name].values
    parts = np.split(found.reshape(8, *[size * (1 + (place == axis)) for place, size in enumerate((8, 4, 5, 3))][1:]), 2, axis)
    steps = (images.astype(np.float64) - 123) / 2  # the scale is 0.05 before
    wanted = np.clip(np.copysign(np.floor(np.abs(steps) + 0.5), steps) + 83, 0, 255)
    np.testing.assert_array_equal(parts[0], wanted)


def test_signed_codes_of_another_scale_are_refused(tmp_path):
    with pytest.raises(LoweringError, match=r"joins codes in .* all must have one scale and one zero point"):
        lower_tflite(_written(joined("INT8", 3, 0.1), tmp_path))


def test_sums_of_a_scale_that_is_too_small_for_litert_are_refused(tmp_path):
    model = subtracted("INT8", (0.05, 0.02, 1e-8))
    with pytest.raises(LoweringError, match=r"has the scale 1e-08, an operand 0\.05: read is less than 2\*\*19 times that"):
        lower_tflite(_written(model, tmp_path))
