"""Every benchmark runs, tiny: a benchmark that no test runs rots."""

import pytest

pytest.importorskip("torch", reason="benchmarks stand beside PyTorch")

from tests.bench import simulation, training


def test_simulation_runs_tiny(capsys):
    simulation.main(["--tiny", "--threads", "1"])
    printed = capsys.readouterr().out
    assert all(name in printed for name in simulation.LAYERS)
    assert "PyTorch float32" in printed


@pytest.mark.parametrize("name", training.LAYERS)
def test_training_runs_tiny(name):
    assert all(seconds > 0 for seconds in training.measure(training.steps(training.LAYERS[name], 1), 1))
