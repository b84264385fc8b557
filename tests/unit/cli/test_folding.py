"""The summary first; layers of a module in one row, the heaviest first, and sums that stay the network's."""

import re

import pytest

from addersim.cli.folding import folded
from tests.command_line import call, refused


def rows(text, head):
    """The lines of the table that begins with a head, all parts of it together."""
    found = []
    for part in re.split(rf"^{head} .*\n", text, flags=re.M)[1:]:
        found += [line for line in part.split("\n\n")[0].splitlines() if line.strip()]
    return found


@pytest.mark.parametrize("verb", ["count", "estimate"])
def test_the_summary_stands_before_the_layers(verb):
    text = " ".join(call(verb, "lenet5-conv").stdout.split())
    words = [r"parameters \d", r"weights \d", r"activations \d", "conv1"]
    places = [re.search(word, text).start() for word in words]
    assert places == sorted(places)


def test_accuracy_stands_before_the_layers():
    text = call("simulate", "lenet5-conv", "--limit", 5).stdout
    assert text.index("fixed-point accuracy") < text.index("conv1")


def test_layers_of_a_module_stand_in_one_row_with_their_sum():
    text = call("estimate", "resnet20-adder", "--depth", 1).stdout
    whole, folds = call("estimate", "resnet20-adder").stdout, rows(text, "layer")
    assert sum(line.startswith("layer1 (18)") for line in folds) > 0
    assert not any("layer1.0" in line for line in folds)
    totals = [[line.split() for line in one if line.startswith("total")] for one in (folds, rows(whole, "layer"))]
    assert totals[0] == totals[1] != []
    cycles = [
        int(line.split()[2].replace(",", ""))
        for line in rows(whole, "layer")
        if re.match(r"layer1\.\S+ +(l1|affine|relu)", line)
    ]
    assert f"{sum(cycles):,}" in next(line for line in folds if line.startswith("layer1 (18)"))


def test_the_heaviest_layers_come_first_and_the_rest_is_one_row():
    found = folded([("a", 1), ("b", 5), ("c", 3), ("d", 2)], lambda one: one[0], lambda one: one[1], top=2)
    assert [(one.title, len(one.layers)) for one in found] == [("b", 1), ("c", 1), ("2 other layers", 2)]
    text = call("count", "lenet5-conv", "--top", 2).stdout
    assert [line.split()[0] for line in rows(text, "layer") if line[0] not in " "] == ["conv2", "conv1", "15", "total"]
    assert "other layers" in call("simulate", "lenet5-conv", "--limit", 2, "--top", 3).stdout


def test_a_depth_is_a_number_from_1_on():
    assert refused("count", "lenet5-conv", "--depth", 0).startswith("count: --depth: found 0; needs a whole number")
