"""Layer kinds, one file each. Adding a kind is one file and one name in each union below."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from addersim.layers import activation, add, affine, move, pool, window
from addersim.layers.activation import IntegerRelu, Relu
from addersim.layers.add import Add, IntegerAdd
from addersim.layers.affine import Affine, IntegerAffine
from addersim.layers.base import Builder, Engine, IntegerLayer, Layer, Plan, Run, Shape, Value
from addersim.layers.clip import Clip, IntegerClip
from addersim.layers.concat import Concat, IntegerConcat
from addersim.layers.interpolate import IntegerInterpolate, Interpolate, Taps
from addersim.layers.move import IntegerMove, Move
from addersim.layers.normalise import IntegerNormalise, Normalise
from addersim.layers.pool import AveragePool, IntegerAveragePool, IntegerMaxPool, MaxPool
from addersim.layers.product import IntegerProduct, Product
from addersim.layers.softmax import IntegerSoftmax, Softmax
from addersim.layers.table import IntegerTable, Table
from addersim.layers.window import IntegerWindow, Window

__all__ = [
    "FUNCTIONS",
    "MODULES",
    "Add",
    "Affine",
    "AnyIntegerLayer",
    "AnyLayer",
    "AveragePool",
    "Clip",
    "Concat",
    "Engine",
    "IntegerAdd",
    "IntegerAffine",
    "IntegerAveragePool",
    "IntegerClip",
    "IntegerConcat",
    "IntegerInterpolate",
    "IntegerLayer",
    "IntegerMaxPool",
    "IntegerMove",
    "IntegerNormalise",
    "IntegerProduct",
    "IntegerRelu",
    "IntegerSoftmax",
    "IntegerTable",
    "IntegerWindow",
    "Interpolate",
    "Layer",
    "MaxPool",
    "Move",
    "Normalise",
    "Plan",
    "Product",
    "Relu",
    "Run",
    "Shape",
    "Softmax",
    "Table",
    "Taps",
    "Value",
    "Window",
]

AnyLayer = (
    Window
    | Affine
    | Relu
    | MaxPool
    | AveragePool
    | Add
    | Move
    | Concat
    | Product
    | Clip
    | Table
    | Interpolate
    | Normalise
    | Softmax
)
AnyIntegerLayer = (
    IntegerWindow
    | IntegerAffine
    | IntegerRelu
    | IntegerMaxPool
    | IntegerAveragePool
    | IntegerAdd
    | IntegerMove
    | IntegerConcat
    | IntegerProduct
    | IntegerClip
    | IntegerTable
    | IntegerInterpolate
    | IntegerNormalise
    | IntegerSoftmax
)

_KINDS = (window, affine, activation, pool, add, move)

MODULES: Mapping[str, Builder] = MappingProxyType({name: build for kind in _KINDS for name, build in kind.MODULES.items()})
"""How a torch module becomes a layer, by the name of its class; torch is not imported."""

FUNCTIONS: Mapping[str, Builder] = MappingProxyType({name: build for kind in _KINDS for name, build in kind.FUNCTIONS.items()})
"""How a call in ``forward`` becomes a layer, by the function's name; its arguments after the value are passed on."""
