"""A shell completes the names that a verb asks for."""

import pytest

from tests.command_line import call


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("estimate lenet5-", "lenet5-adder lenet5-conv"),
        ("compare lenet5-adder lenet5-c", "lenet5-conv"),
        ("report resnet20-a", "resnet20-adder"),
        ("estimate lenet5-adder --accelerator systolic-16", "systolic-16x16"),
        ("compare lenet5-adder --accelerator systolic-16", "systolic-16x16"),
        ("sweep --accelerator systolic-16", "systolic-16x16"),
        ("sweep bit-w", "bit-widths"),
        ("estimate lenet5-adder --table horo", "horowitz-45nm"),
        ("compare lenet5-adder --table horo", "horowitz-45nm"),
        ("search lenet5-adder --table horo", "horowitz-45nm"),
        ("simulate lenet5-adder --data fashion-mnist-", "fashion-mnist-2000"),
        ("simulate lenet5-adder --datapath l1-2", "l1-2a"),
        ("train lenet5-m", "lenet5-mnist"),
        ("compare-rounding lenet5-adder tfl", "tflite"),
        ("explain utili", "utilisation"),
        ("new sw", "sweep"),
        ("list tab", "tables"),
        ("list tables horo", "horowitz-45nm"),
        ("list nothing horo", ""),
        ("estimate ./no-such-", ""),
    ],
)
def test_names_are_completed(words, expected, monkeypatch):
    asked = f"addersim {words}".split()
    monkeypatch.setenv("_ADDERSIM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", " ".join(asked))
    monkeypatch.setenv("COMP_CWORD", str(len(asked) - 1))
    found = call().stdout.split()
    assert found[: len(expected.split())] == expected.split()
    assert bool(found) == bool(expected)
    assert len(found) == len(set(found))
