"""Jobs: what workers do. Plain functions of values, so that any engine may run them anywhere, any number of times."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from addersim.arithmetic.multiplier import MultiplierTable
from addersim.datasets.records import Images
from addersim.errors import SweepError
from addersim.exploration.sweeps.fingerprint import code_digest
from addersim.exploration.sweeps.job_files import Failed, Simulated, attempt
from addersim.network import Network
from addersim.quantization.pipeline import Prepared, prepare, quantize_prepared
from addersim.quantization.rules import Quantization
from addersim.simulation import simulate

__all__ = ["Subject", "simulate_rules", "study_network"]

Choices = npt.NDArray[np.int64]
THREADS = 1
"""Kernel threads of a job: the jobs themselves fill the machine."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A network with all that its points share, found once for all of them.

    Attributes
    ----------
    prepared
        The network and its values on the calibration images.
    float_predictions
        Its choices on the test images, shape ``(images,)``.
    test
        The test images.
    multipliers
        Tables by the names that points use.
    """

    prepared: Prepared
    float_predictions: Choices
    test: Images
    multipliers: Mapping[str, MultiplierTable]


def study_network(
    name: str, network: Network, calibration: Images, test: Images, folded: bool, code: str
) -> tuple[str, tuple[Prepared, Choices] | Failed]:
    """Run a float network on both image sets. Every job returns the caller's name for it, since jobs end in any order."""
    _check_code(code)

    def run() -> tuple[Prepared, Choices]:
        scores = network.run(test.pixels, threads=THREADS)
        return prepare(network, np.asarray(calibration.pixels), folded, THREADS), scores.argmax(axis=1).astype(np.int64)

    return name, attempt(run)


def simulate_rules(
    name: str, subject: Subject, rules: Quantization, multiplier: str | None, code: str
) -> tuple[str, Simulated | Failed]:
    """Quantise a network by some rules, for a multiplier, and run it bit for bit."""
    _check_code(code)

    def run() -> Simulated:
        program = quantize_prepared(subject.prepared, rules, THREADS, subject.multipliers.get(multiplier or ""))
        found = simulate(
            program, subject.test.pixels, subject.test.labels, threads=THREADS, float_predictions=subject.float_predictions
        )
        assert found.accuracy is not None
        assert found.accuracy_float is not None
        assert found.agreement is not None
        return Simulated(
            accuracy_float=found.accuracy_float,
            accuracy=found.accuracy,
            agreement=found.agreement,
            images=found.images,
            trace=found.trace,
        )

    return name, attempt(run)


def _check_code(expected: str) -> None:
    """Refuse to work where another version of the package is installed: its results would be kept under a wrong name."""
    if code_digest(compiled=False) != expected:
        raise SweepError(f"the worker on {platform.node()} runs another version of addersim; install the same on all machines")
