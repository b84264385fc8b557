"""A network's twin: the same shapes with the other arithmetic, billed as the trained twin is."""

import pytest

from addersim import count, load, load_network, quantize, twin
from addersim.errors import NetworkError
from addersim.layers import Window


def billed(network):
    return count(quantize(network, None)).operations


@pytest.mark.parametrize(("name", "other"), [("lenet5-adder", "lenet5-conv"), ("resnet20-adder", "resnet20-conv")])
def test_a_twin_is_billed_as_the_trained_one(name, other):
    assert billed(twin(load_network(name))) == billed(load_network(other))


def test_a_twin_of_a_multiplying_network_adds_everywhere():
    network = load_network("resnet20-conv")
    assert {one.arithmetic for one in twin(network).layers if isinstance(one, Window)} == {"l1"}
    assert twin(network).name == "resnet20-conv with additions"
    assert billed(twin(load_network("lenet5-conv"))) == billed(load_network("lenet5-adder"))


def test_a_network_of_neither_has_none():
    pytest.importorskip("torch")
    from msgspec.structs import replace

    network = load("lenet5-euclidean")
    layers = tuple(replace(one, arithmetic="l2") if isinstance(one, Window) else one for one in network.layers)
    with pytest.raises(NetworkError, match=r"has no twin; its windows compute l2, neither l1 nor mac"):
        twin(replace(network, layers=layers))
    with pytest.raises(TypeError, match="twin: network"):
        twin("lenet5-adder")
