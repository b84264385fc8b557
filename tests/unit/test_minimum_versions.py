"""The lowest versions are read from pyproject.toml as it is, and a requirement without one is told."""

import re
import tomllib

import pytest

from tests.minimum_versions import PYPROJECT, lowest

PROJECT = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))


def with_extra(*requirements):
    about = PROJECT["project"]
    return PROJECT | {"project": about | {"optional-dependencies": about["optional-dependencies"] | {"more": requirements}}}


def test_every_declared_requirement_has_a_minimum():
    extras = PROJECT["project"]["optional-dependencies"]
    found = lowest(PROJECT, ["build", "run", *extras])
    assert all(re.fullmatch(r"[\w-]+==[\d.]+( *;.*)?", one) for one in found)
    declared = {re.split(r"[>=;]", one)[0] for part in (PROJECT["project"]["dependencies"], *extras.values()) for one in part}
    names = {one.split("==")[0] for one in found}
    assert {name for name in declared if not name.startswith("addersim[")} <= names
    assert any(one.startswith("numpy==") for one in found)


def test_the_test_extra_brings_what_its_extras_bring():
    assert set(lowest(PROJECT, ["onnx", "search"])) < set(lowest(PROJECT, ["test"]))


@pytest.mark.parametrize(
    ("requirement", "message"),
    [
        ("attrs", "'attrs' has no minimum; write attrs>=VERSION"),
        ("attrs<3", "cannot read 'attrs<3'; write NAME>=VERSION"),
        ("rich>=99", "rich has two minimums: rich==13.9 and rich==99; say one"),
    ],
)
def test_what_has_no_one_minimum_is_refused(requirement, message):
    with pytest.raises(SystemExit, match=f"^pyproject.toml: {re.escape(message)}$"):
        lowest(with_extra(requirement), ["run", "more"])
