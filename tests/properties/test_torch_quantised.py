"""A few of the random networks that torch quantised, beside torch."""

import warnings

import pytest

pytest.importorskip("torch")
pytest.importorskip("torch.ao.quantization.fx._decomposed")

import torch

from tests.properties import torch_modules_quantised, torch_programs
from tests.properties.random_search import FOUND

WRONG_ONCE = [24, 102, 252]
"""Odd zero points at ties, in sums with a bias and sums of two; a bias of quarter steps."""


def _check(examine, seeds):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [examine(seed) for seed in seeds]
    assert not [one for one in found if one.startswith(FOUND)]
    assert sum(one.startswith("equal") for one in found) > len(seeds) // 3


def test_random_programs_have_the_codes_of_torch_or_are_refused():
    _check(torch_programs.examine, WRONG_ONCE)


@pytest.mark.slow
def test_many_random_programs():
    _check(torch_programs.examine, range(1000, 1400))


def _fbgemm():
    if "fbgemm" not in torch.backends.quantized.supported_engines:
        pytest.skip("torch has no backend fbgemm here")


def test_random_modules_of_torch_ao_have_the_codes_of_fbgemm_or_are_refused():
    _fbgemm()
    _check(lambda seed: torch_modules_quantised.examine("ao", seed), [125, 186])


@pytest.mark.slow
def test_many_random_modules_of_torch_ao():
    _fbgemm()
    _check(lambda seed: torch_modules_quantised.examine("ao", seed), range(1000, 1300))


@pytest.mark.slow
def test_many_random_modules_of_torchao():
    pytest.importorskip("torchao.testing.pt2e._xnnpack_quantizer")
    _check(lambda seed: torch_modules_quantised.examine("pt2e", seed), range(1000, 1200))
