"""The list of mutants holds: each applies, and none relies on golden files. `make mutants` runs them."""

import ast

import pytest

from tests.mutants.listed import MUTANTS, ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: one.name)
def test_a_mutant_applies(mutant):
    changed = mutant.applied()
    assert changed is not None, f"{mutant.name}: its old text is not found exactly once in {mutant.file}: update its entry"
    assert changed != (ROOT / mutant.file).read_text()
    if mutant.file.endswith(".py"):
        ast.parse(changed)
    assert mutant.tests
    for tests in mutant.tests:
        assert (ROOT / tests.partition("::")[0]).exists(), f"{mutant.name}: {tests} is not there"


def test_the_list_is_long_enough_and_goes_without_golden_files():
    assert len(MUTANTS) >= 100
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert not any("report" in tests or tests == "tests/unit" for mutant in MUTANTS for tests in mutant.tests)
