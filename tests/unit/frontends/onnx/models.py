"""Small ONNX models for the tests."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RANDOM = np.random.default_rng(7)


def weights(*sizes):
    """float32 values around zero."""
    return RANDOM.normal(size=sizes).astype(np.float32)


def node(operator, *inputs, name=None, output=None, domain="", **attributes):
    """A node named after its operator."""
    name = name or operator.lower()
    outputs = [output or f"{name}_out"] if isinstance(output, (str, type(None))) else list(output)
    return helper.make_node(operator, list(inputs), outputs, name=name, domain=domain, **attributes)


def model(nodes, constants=(), shape=("batch", 3, 8, 8), output=None, opset=17, domains=("addersim",), kind=TensorProto.FLOAT):
    """A model of nodes over the input ``x``; constants are (name, array)."""
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in dict(constants).items()]
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", kind, list(shape))],
        [helper.make_tensor_value_info(output or nodes[-1].output[0], TensorProto.FLOAT, ["batch", "scores"])],
        tensors,
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(one, 1) for one in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def scores(value, shape=(3, 8, 8)):
    """Nodes and constants that turn a value of a shape into three scores."""
    size = int(np.prod(shape))
    nodes = [node("Flatten", value, name="end"), node("Gemm", "end_out", "end_w", "end_b", name="scores", transB=1)]
    return nodes, {"end_w": weights(3, size) / size, "end_b": weights(3)}


def whole(nodes, constants=None, shape=(3, 8, 8), **more):
    """A model whose nodes are followed by `scores`; `shape` is that of the last value."""
    tail, tail_constants = scores(nodes[-1].output[0], shape)
    return model([*nodes, *tail], (constants or {}) | tail_constants, **more)


def saved(folder, made, name="net.onnx", **options):
    """Path of a model written to a folder."""
    onnx.save(made, folder / name, **options)
    return folder / name
