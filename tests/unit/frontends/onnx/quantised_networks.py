"""Small quantised ONNX networks, one of each kind of file: what each has of operators, constants and forms."""

import numpy as np
from onnx import TensorProto

from tests.unit.frontends.onnx.models import model, node

RANDOM = np.random.default_rng(11)
GENERAL, MICROSOFT = "qonnx.custom_op.general", "com.microsoft"
F32, I8 = np.float32, np.int8
FORM = {"s": F32(0.05), "z": I8(-3), "s2": F32(0.2), "z2": I8(5), "s3": F32(0.4), "z3": I8(-7)}


def _codes(*shape):
    return RANDOM.integers(-100, 101, shape).astype(I8)


def _window():
    """Weights of four filters and of three scores, with a scale a filter and one for all."""
    each = {"w": _codes(4, 2, 3, 3), "ws": RANDOM.uniform(0.01, 0.05, 4).astype(F32), "wz": np.zeros(4, I8)}
    bias = {"b": RANDOM.integers(-900, 900, 4).astype(np.int32), "bs": (F32(0.05) * each["ws"]).astype(F32)}
    return each | bias | {"bz": np.zeros(4, np.int32), "v": _codes(64, 3), "vs": F32(0.02), "vz": I8(0)}


def of_reals():
    """QDQ: a convolution, a bound, a residual sum, a mean, a pool, a transposed move and scores."""
    nodes = [
        node("QuantizeLinear", "x", "s", "z", name="q"),
        node("DequantizeLinear", "q_out", "s", "z", name="d"),
        node("DequantizeLinear", "w", "ws", "wz", name="dw", axis=0),
        node("DequantizeLinear", "b", "bs", "bz", name="db", axis=0),
        node("Conv", "d_out", "dw_out", "db_out", name="conv", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("Relu", "conv_out"),
        node("QuantizeLinear", "relu_out", "s2", "z2", name="q2"),
        node("DequantizeLinear", "q2_out", "s2", "z2", name="d2"),
        node("Sigmoid", "d2_out", name="gate"),
        node("QuantizeLinear", "gate_out", "s2", "z2", name="q3"),
        node("DequantizeLinear", "q3_out", "s2", "z2", name="d3"),
        node("Add", "d2_out", "d3_out", name="sum"),
        node("QuantizeLinear", "sum_out", "s3", "z3", name="q4"),
        node("DequantizeLinear", "q4_out", "s3", "z3", name="d4"),
        node("MaxPool", "d4_out", name="pool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
        node("Transpose", "pool_out", name="turned", perm=[0, 2, 3, 1]),
        node("Reshape", "turned_out", "sizes", name="flat"),
        node("DequantizeLinear", "v", "vs", "vz", name="dv"),
        node("MatMul", "flat_out", "dv_out", name="scores"),
        node("QuantizeLinear", "scores_out", "s3", "z3", name="end", output="y"),
    ]
    return _made(nodes, FORM | _window() | {"sizes": np.array([0, -1])})


def of_codes():
    """QOperator: a convolution, a sum, a mean over windows, scores."""
    nodes = [
        node("QuantizeLinear", "x", "s", "z", name="q"),
        node("QLinearConv", "q_out", "s", "z", "w", "ws", "wz", "s2", "z2", "b", name="conv", pads=[1] * 4, strides=[2, 2]),
        node("QLinearAdd", "conv_out", "s2", "z2", "conv_out", "s2", "z2", "s3", "z3", name="sum", domain=MICROSOFT),
        node("QLinearSigmoid", "sum_out", "s3", "z3", "s2", "z2", name="gate", domain=MICROSOFT),
        node("QLinearConcat", "s3", "z3", "sum_out", "s3", "z3", "gate_out", "s2", "z2", name="j", axis=1, domain=MICROSOFT),
        node("QLinearAveragePool", "j_out", "s3", "z3", "s3", "z3", name="pool", kernel_shape=[2, 2], strides=[2, 2],
             domain=MICROSOFT),
        node("Flatten", "pool_out", name="flat"),
        node("QLinearMatMul", "flat_out", "s3", "z3", "u", "vs", "vz", "s3", "z3", name="scores", output="y"),
    ]  # fmt: skip
    return _made(nodes, FORM | _window() | {"u": _codes(32, 3)})


def of_steps():
    """QONNX: codes of few bits, signs, dropped bits, a batch norm before codes, scores."""
    constants = {"s": F32(0.125), "z": F32(0), "n8": F32(8), "n4": F32(4), "w": RANDOM.normal(size=(4, 2, 3, 3)).astype(F32)}
    constants |= {"ws": np.full((4, 1, 1, 1), 0.25, F32), "v": RANDOM.normal(size=(64, 3)).astype(F32), "one": F32(1)}
    constants |= {"g": RANDOM.normal(size=4).astype(F32), "m": np.zeros(4, F32), "a": np.ones(4, F32)}
    how = {"domain": GENERAL, "signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
    nodes = [
        node("Quant", "x", "s", "z", "n8", name="q", **how),
        node("Quant", "w", "ws", "z", "n4", name="qw", **how),
        node("Conv", "q_out", "qw_out", name="conv", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("BatchNormalization", "conv_out", "g", "m", "m", "a", name="norm"),
        node("Relu", "norm_out"),
        node("Quant", "relu_out", "s", "z", "n4", name="q2", **(how | {"signed": 0})),
        node("MaxPool", "q2_out", name="pool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1]),
        node("Flatten", "pool_out", name="flat"),
        node("BipolarQuant", "v", "one", name="signs", domain=GENERAL),
        node("MatMul", "flat_out", "signs_out", name="scores", output="y"),
    ]
    return _made(nodes, constants)


def _made(nodes, constants):
    return model(nodes, constants, shape=("batch", 2, 8, 8), domains=(GENERAL, MICROSOFT), kind=TensorProto.FLOAT)
