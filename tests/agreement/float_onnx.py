"""Networks of ours as float ONNX files, for quantisers of others."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

__all__ = ["write_float"]


def write_float(network, path, opset=17):
    """Write a multiplying network, each batch norm within the window before it."""
    shapes = network.shapes()
    nodes, constants, gives, layers = [], {}, {"input": "input"}, list(network.layers)

    def add(operator, inputs, name, held=(), **attributes):
        for number, values in enumerate(held):
            constants[f"{name}.{number}"] = np.asarray(values)
        nodes.append(
            helper.make_node(operator, [*inputs, *(f"{name}.{i}" for i in range(len(held)))], [name], name, **attributes)
        )
        gives[name] = name

    norms = {layer.inputs[0]: layer for layer in layers if layer.kind() == "affine"}
    for layer in layers:
        inputs = [gives[one] for one in layer.inputs]
        match layer.kind():
            case "window":
                norm = norms[layer.name]
                bias = 0 if layer.bias is None else layer.bias
                weights = (layer.weights * norm.multiplier.reshape(-1, 1, 1, 1)).astype(np.float32)
                bias = (bias * norm.multiplier + norm.addend).astype(np.float32)
                if len(shapes[layer.inputs[0]]) == 1:
                    add("Gemm", inputs, layer.name, [weights[:, :, 0, 0], bias], transB=1)
                else:
                    far = layer.padding if layer.far_padding is None else layer.far_padding
                    how = {"strides": layer.stride, "pads": [*layer.padding, *far], "group": layer.groups}
                    add("Conv", inputs, layer.name, [weights, bias], kernel_shape=weights.shape[2:], **how)
            case "affine":
                gives[layer.name] = inputs[0]
            case "relu":
                add("Relu", inputs, layer.name)
            case "add":
                add("Add", inputs, layer.name)
            case "max_pool":
                add("MaxPool", inputs, layer.name, kernel_shape=layer.kernel, strides=layer.stride or layer.kernel)
            case "average_pool":
                add("GlobalAveragePool", inputs, layer.name)
            case "move":
                add("Flatten", inputs, layer.name)
    values = [(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])) for name, shape in (
        ("input", network.input_shape), (gives[layers[-1].name], shapes[layers[-1].name])
    )]  # fmt: skip
    held = [numpy_helper.from_array(one, name) for name, one in constants.items()]
    graph = helper.make_graph(nodes, network.name, values[:1], values[1:], held)
    import onnx

    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path
