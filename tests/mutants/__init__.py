"""Mutants: one-line faults of the package, each of which the tests of its module must notice."""
