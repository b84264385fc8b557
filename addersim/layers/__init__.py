"""Layer kinds, one file each. Adding a kind is one file and one name in each union below."""

from __future__ import annotations

from addersim.layers.activation import IntegerRelu, Relu
from addersim.layers.add import Add, IntegerAdd
from addersim.layers.affine import Affine, IntegerAffine
from addersim.layers.average_pool import AveragePool, IntegerAveragePool
from addersim.layers.base import Engine, IntegerLayer, Layer, Plan, Run, Shape, Value
from addersim.layers.clip import Clip, IntegerClip
from addersim.layers.concat import Concat, IntegerConcat
from addersim.layers.integer_window import IntegerWindow
from addersim.layers.interpolate import IntegerInterpolate, Interpolate, Taps
from addersim.layers.max_pool import IntegerMaxPool, MaxPool
from addersim.layers.move import IntegerMove, Move
from addersim.layers.normalise import IntegerNormalise, Normalise
from addersim.layers.product import IntegerProduct, Product
from addersim.layers.rescale import IntegerRescale
from addersim.layers.rescaled_add import IntegerRescaledAdd
from addersim.layers.rescaled_product import IntegerRescaledProduct
from addersim.layers.rule_softmax import IntegerRuleSoftmax
from addersim.layers.softmax import IntegerSoftmax, Softmax
from addersim.layers.table import IntegerTable, Table
from addersim.layers.thresholds import IntegerThresholds
from addersim.layers.unknown import IntegerUnknown, Unknown
from addersim.layers.window import Window

__all__ = [
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
    "IntegerRescale",
    "IntegerRescaledAdd",
    "IntegerRescaledProduct",
    "IntegerRuleSoftmax",
    "IntegerSoftmax",
    "IntegerTable",
    "IntegerThresholds",
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
    "Unknown",
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
    | Unknown
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
    | IntegerRescale
    | IntegerRescaledAdd
    | IntegerRescaledProduct
    | IntegerRuleSoftmax
    | IntegerThresholds
    | IntegerUnknown
)
