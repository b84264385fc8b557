"""Twins: the same network with the other arithmetic, to be counted and priced beside it."""

from __future__ import annotations

from msgspec.structs import replace

from addersim.errors import NetworkError, check_kind
from addersim.layers import Window
from addersim.network import Network

__all__ = ["twin"]

_WORDS = {"l1": "additions", "mac": "multiplications"}


def twin(network: Network) -> Network:
    """The same network with additions where it multiplies, or multiplications where it adds.

    A network with adder layers gets multiplying ones in their place; one without gets adder layers in place of all that
    multiply. Weights stay, so that a twin can be counted and priced and its accuracy would mean nothing: train it for that.

    Raises
    ------
    NetworkError
        For a network that neither adds nor multiplies in windows.

    Examples
    --------
    >>> from addersim import count, load_network, quantize
    >>> other = twin(load_network("lenet5-adder"))
    >>> other.name, count(quantize(other, None)).taps_by_datapath().keys()
    ('lenet5-adder with multiplications', dict_keys(['mac']))
    """
    check_kind(network, Network, "twin: network", "addersim.load_network(name) and addersim.lower(module, shape) give one")
    found = {layer.arithmetic for layer in network.layers if isinstance(layer, Window)}
    old = next((one for one in ("l1", "mac") if one in found), None)
    if old is None:
        raise NetworkError(
            f"{network.name}: has no twin; its windows compute {', '.join(sorted(found)) or 'nothing'}, neither l1 nor mac"
        )
    new = "mac" if old == "l1" else "l1"
    layers = tuple(
        replace(layer, arithmetic=new, weight_bits=None) if isinstance(layer, Window) and layer.arithmetic == old else layer
        for layer in network.layers
    )
    return replace(network, name=f"{network.name} with {_WORDS[new]}", layers=layers)
