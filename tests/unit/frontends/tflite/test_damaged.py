"""Damaged TFLite files are refused in one line, or are harmless."""

import re

import pytest

pytest.importorskip("tflite")

from addersim import lower_tflite
from addersim.errors import LoweringError
from tests.unit.frontends.tflite.networks import dense
from tests.unit.frontends.tflite.test_reading import refusal, small, written


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x1c\0\0\0TFL3", b"\xff" * 4 + b"TFL3", b"\x08\0\0\0TFL3" + b"\xff" * 60])
def test_bytes_that_are_no_model_are_refused(content, tmp_path):
    assert refusal(tmp_path, content)


def test_a_cut_file_is_said_to_be_cut(tmp_path):
    said = refusal(tmp_path, small().content()[:900])
    assert re.fullmatch(r"truncated or altered: an offset leads to bytes \d+\.\.\d+; the file has 900 bytes", said)


def test_a_truncated_file_is_refused_at_every_length(tmp_path):
    """Or it is the same program, where nothing that is read was cut off."""
    whole = small().content()
    expected = str(lower_tflite(written(tmp_path, whole)))
    refused = 0
    for length in range(0, len(whole), 7):
        try:
            assert str(lower_tflite(written(tmp_path, whole[:length]))) == expected
        except LoweringError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 0.9 * (len(whole) // 7)


@pytest.mark.parametrize("value", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF])
def test_offsets_that_lie_are_refused_or_harmless(value, tmp_path):
    """Every word of the file, each in its turn."""
    whole = dense("INT8", "RELU").content()
    for place in range(0, len(whole) - 4, 4):
        damaged = whole[:place] + value.to_bytes(4, "little") + whole[place + 4 :]
        try:
            lower_tflite(written(tmp_path, damaged))
        except LoweringError as error:
            assert "\n" not in str(error)
