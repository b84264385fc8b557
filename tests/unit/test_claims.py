"""The ledger of published claims: page, data and code agree, and what is written down is what the code gives."""

import re
import shlex
import sys
from importlib import import_module
from math import inf
from pathlib import Path

import pytest

from tests.command_line import call

ROOT = Path(__file__).parents[2]
FAST = ("addersr-energy", "multiplier-over-adder", "sums-are-negative", "eyeriss-alexnet")


@pytest.fixture(scope="module")
def run():
    """The module of the ledger, whose neighbours import each other as scripts in one folder do."""
    names = ("claim", "runs", "counted", "priced", "undecided", "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "reports" / "claims")
        found = [import_module(name) for name in names][-1]
    for name in names:  # so short a name is nobody's elsewhere
        del sys.modules[name]
    return found


@pytest.fixture(scope="module")
def written(run):
    return run.read_ledger()


def test_the_page_is_current(run, written):
    assert (ROOT / "docs" / "claims.md").read_text("utf-8") == run.page(written), "run make claims"
    assert list(written) == [claim.key for claim in run.CLAIMS]


def test_enough_is_decided(run, written):
    told = [run.verdict(claim, written[claim.key]) for claim in run.CLAIMS]
    assert len(told) >= 20
    assert sum(one != "not decidable" for one in told) >= 12
    assert set(told) == set(run.VERDICTS)


def test_every_claim_is_a_record_that_says_its_source(run):
    assert len({claim.key for claim in run.CLAIMS}) == len(run.CLAIMS)
    for claim in run.CLAIMS:
        assert all((claim.paper, claim.text, claim.source)), claim.key
        assert len(claim.about) > 15, claim.key
        assert (claim.measure is None) == (claim.published is None), claim.key


@pytest.mark.parametrize(
    ("published", "tolerance", "ours", "told"),
    [
        ((3, 3), 0.1, (2.7, 3.3), "reproduced"),
        ((3, 3), 0.1, (2.6, 3.3), "bounded"),
        ((3, 3), 0.1, (3.31, 4), "refuted"),
        ((0, 0), 0.0, (0, 0), "reproduced"),
        ((0, 0), 0.5, (1, 1), "refuted"),
        ((80, 100), 0.0, (-20, 30), "refuted"),
        ((10, inf), 0.0, (11, 1e9), "reproduced"),
        ((-inf, 0), 0.0, (-5, -1), "reproduced"),
        ((-10, -5), 0.1, (-11, -4.5), "reproduced"),
    ],
)
def test_the_rule_of_verdicts(run, published, tolerance, ours, told):
    claim = run.Claim("", "", "", "", "", published=published, tolerance=tolerance)
    assert run.verdict(claim, run.Measured(*ours)) == told
    assert run.verdict(claim, None) == "not decidable"


def test_a_page_of_other_values_is_another_page(run, written):
    other = written | {"resnet20-multiplications": run.Measured(41.17, 41.17)}
    assert "41.17 M | 41.17 M | reproduced" in run.page(other)


def same(run, written, key):
    (claim,) = (one for one in run.CLAIMS if one.key == key)
    found = claim.measure()
    assert (found.low, found.high) == pytest.approx((written[key].low, written[key].high), rel=1e-6, abs=1e-12)
    assert found.note == written[key].note


@pytest.mark.parametrize("key", FAST)
def test_some_claims_are_decided_as_written(run, written, key):
    same(run, written, key)


@pytest.mark.slow
def test_all_claims_are_decided_as_written(run, written):
    pytest.importorskip("torch", reason="architectures are torch networks")
    for claim in run.CLAIMS:
        if claim.measure:
            same(run, written, claim.key)


@pytest.mark.slow
def test_every_command_runs(run, monkeypatch):
    pytest.importorskip("torch", reason="architectures are torch networks")
    monkeypatch.chdir(ROOT)
    for command in {claim.command for claim in run.CLAIMS if claim.command}:
        program, *words = shlex.split(command)
        assert program == "addersim"
        found = call(*words)
        assert found.returncode == 0, (command, found.stderr)


def test_one_claim_is_printed(run, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["run.py", "--only", "l-mul-dot"])
    run.main()
    assert re.search(r"verdict \| \*\*refuted\*\*.*--only l-mul-dot", capsys.readouterr().out, re.DOTALL)
