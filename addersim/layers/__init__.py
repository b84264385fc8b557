"""Layer kinds, one file each. Adding a kind is one file and one name in each union below."""

from __future__ import annotations

from addersim.layers._shim import Clip, Concat, Product, Table
from addersim.layers.activation import IntegerRelu, Relu
from addersim.layers.add import Add, IntegerAdd
from addersim.layers.affine import Affine, IntegerAffine
from addersim.layers.average_pool import AveragePool, IntegerAveragePool
from addersim.layers.base import Engine, IntegerLayer, Layer, Plan, Run, Shape, Value
from addersim.layers.max_pool import IntegerMaxPool, MaxPool
from addersim.layers.move import IntegerMove, Move
from addersim.layers.unknown import IntegerUnknown, Unknown
from addersim.layers.window import IntegerWindow, Window

__all__ = [
    "Add",
    "Affine",
    "AnyIntegerLayer",
    "AnyLayer",
    "AveragePool",
    "Engine",
    "IntegerAdd",
    "IntegerAffine",
    "IntegerAveragePool",
    "IntegerLayer",
    "IntegerMaxPool",
    "IntegerMove",
    "IntegerRelu",
    "IntegerWindow",
    "Layer",
    "MaxPool",
    "Move",
    "Plan",
    "Relu",
    "Run",
    "Shape",
    "Value",
    "Window",
]

AnyLayer = Window | Affine | Relu | MaxPool | AveragePool | Add | Move | Concat | Clip | Product | Table | Unknown
AnyIntegerLayer = (
    IntegerWindow
    | IntegerAffine
    | IntegerRelu
    | IntegerMaxPool
    | IntegerAveragePool
    | IntegerAdd
    | IntegerMove
    | IntegerUnknown
)
