"""Quantised ONNX graphs in the making: codes, their formats, and the reals that onnxruntime gives of an operator."""

import dataclasses
import random

import numpy as np
from onnx import TensorProto, helper, numpy_helper

F32 = np.float32
MICROSOFT, GENERAL = "com.microsoft", "qonnx.custom_op.general"
MIDDLE_SCALES = (0.02, 0.3, 1.0, 3.0)
SCALES = (1e-30, 1e-6, *MIDDLE_SCALES, 1e5)
"""Of a value, beside the one that its range asks for."""


@dataclasses.dataclass
class Value:
    """Codes: their tensor's name, what they stand for, and how."""

    name: str
    reals: np.ndarray
    scale: np.float32
    zero: np.ndarray


class Maker:
    """Draws operators between quantisers, of which onnxruntime gives the reals that the next scale is chosen for."""

    def __init__(self, style, seed):
        self.style, self.dice, self.numbers = style, random.Random(f"{style} {seed}"), np.random.default_rng(seed)
        self.opset, self.exact = self.dice.choice([13, 17, 19, 21]), self.dice.random() < 0.5
        self.general = random.Random(f"general {seed}").choice([1, 2])
        self.signed = self.dice.random() < (0.3 if style == "qdq" else 0.5)
        self.nodes, self.constants, self.values, self.count, self.steps = [], {}, [], 0, []
        self.approximate = False  # whether a function of sums is in it, whose last bits are the framework's own
        features = self.dice.random() < 0.15
        self.shape = (self.dice.randint(2, 9), *(() if features else (self.dice.randint(3, 8), self.dice.randint(3, 8))))
        self.images = self.numbers.standard_normal((3, *self.shape)).astype(F32)
        self.coded("x", self.images)

    # names and constants

    def new(self, what="t"):
        self.count += 1
        return f"{what}{self.count}"

    def constant(self, values):
        name = self.new("k")
        self.constants[name] = np.asarray(values)
        return name

    def node(self, operator, inputs, outputs=None, domain="", **attributes):
        names = outputs or [self.new()]
        self.nodes.append(helper.make_node(operator, inputs, names, name=self.new(operator), domain=domain, **attributes))
        return names[0]

    def pick(self, *ranks):
        fitting = [one for one in self.values if one.reals.ndim in (ranks or (2, 3, 4))]
        return self.dice.choice(fitting[-3:] if self.dice.random() < 0.7 else fitting) if fitting else None

    # scales

    def step(self, largest):
        """A scale for reals up to a size, which fits them or is far too small or too large."""
        found = max(float(largest), 1e-20) / 127
        if self.dice.random() < 0.3:
            found *= self.dice.choice(SCALES if self.exact else MIDDLE_SCALES)
        return F32(2.0 ** np.ceil(np.log2(found)) if self.exact else found * self.dice.uniform(1, 1.1))

    def zero(self):
        low, high = (-128, 127) if self.signed else (0, 255)
        middle = 0 if self.signed else 128
        if self.style == "qonnx":
            return np.int8(0) if self.signed else np.uint8(0)
        found = self.dice.choice([middle, middle, low, high, self.dice.randint(low, high)])
        return np.int8(found) if self.signed else np.uint8(found)

    def coded(self, name, reals, form=None):
        """Codes of a tensor of reals, in a format of their own."""
        scale, zero = form or (self.step(np.abs(reals).max()), self.zero())
        if self.style == "qonnx":
            bits, how = (8, {}) if self.dice.random() < 0.6 else (self.dice.randint(2, 8), self.odd_rounding())
            made = self.quant(name, scale, zero.dtype == np.int8, bits, **how)
            return self.keep(made, quantised(reals, scale, zero.dtype == np.int8, bits, **how), scale, zero)
        made = self.node("QuantizeLinear", [name, self.constant(scale), self.constant(zero)])
        return self.keep(made, reals, scale, zero)

    def keep(self, name, reals, scale, zero):
        ends = np.iinfo(zero.dtype)
        codes = np.clip(np.rint(reals / scale) + F32(zero), ends.min, ends.max)
        value = Value(name, ((codes - F32(zero)) * scale).astype(F32), scale, zero)
        self.values.append(value)
        return value

    def quant(self, name, scale, signed, bits, **more):
        inputs = [name, self.constant(F32(scale)), self.constant(F32(0)), self.constant(F32(bits))]
        how = {"signed": int(signed), "narrow": 0, "rounding_mode": "ROUND"} | more
        return self.node("Quant", inputs, domain=GENERAL, **how)

    def odd_rounding(self):
        """Attributes of Quant that few files have."""
        modes = ["ROUND", "CEIL", "FLOOR", "DOWN", "UP", "HALF_UP", "HALF_DOWN"] if self.values else ["ROUND"]
        return {"rounding_mode": self.dice.choice(modes), "narrow": self.dice.randint(0, 1)}

    def real(self, value):
        """The tensor of what codes stand for."""
        if self.style == "qonnx":
            return value.name
        return self.node("DequantizeLinear", [value.name, self.constant(value.scale), self.constant(value.zero)])

    # weights and biases

    def weights(self, shape, axis):
        """Codes of weights with one scale or one a filter: codes, scales, zero points, and their reals."""
        each = self.dice.random() < 0.5
        scale = self.numbers.uniform(0.001, 0.1, shape[axis] if each else ()).astype(F32)
        if each and self.dice.random() < 0.2:
            scale[0] *= F32(1e-4)
        scale = F32(2.0) ** np.round(np.log2(scale)) if self.exact else scale
        kind = np.uint8 if self.style != "qonnx" and not each and not self.signed and self.dice.random() < 0.3 else np.int8
        ends = np.iinfo(kind)
        codes = self.numbers.integers(ends.min, ends.max + 1, shape).astype(kind)
        zero = np.zeros(np.shape(scale), kind) if kind == np.int8 else kind(self.dice.choice([0, 128, 255, 77]))
        wide = np.reshape(scale, [-1 if place == axis and each else 1 for place in range(len(shape))])
        reals = ((codes.astype(np.int32) - np.int32(zero if np.ndim(zero) == 0 else 0)) * wide).astype(F32)
        return codes, scale, zero, reals, wide

    def weight_reals(self, codes, scale, zero, reals, wide, axis):
        if self.style == "qonnx":
            return self.quant(self.constant(reals), np.asarray(wide, F32), True, 8)
        if self.dice.random() < 0.2:  # held as reals
            how = {"axis": axis} if np.ndim(scale) else {}
            places = [self.constant(scale), self.constant(zero)]
            held = self.node("QuantizeLinear", [self.constant(reals), *places], **how)
            return self.node("DequantizeLinear", [held, *places], **how)
        places = [self.constant(codes), self.constant(scale), self.constant(zero)]
        return self.node("DequantizeLinear", places, **({"axis": axis} if np.ndim(scale) else {}))

    def bias(self, scale, wide, filters):
        """int32 codes at the step of the sums and their reals, or None."""
        if self.dice.random() < 0.4:
            return None
        step = (scale * np.broadcast_to(np.asarray(wide, F32).reshape(-1), filters)).astype(F32)
        codes = self.numbers.integers(-3000, 3000, filters).astype(np.int32)
        return codes, step, (codes * step).astype(F32)

    def bias_reals(self, bias):
        if bias is None:
            return []
        codes, step, reals = bias
        if self.style == "qonnx":
            return [self.constant(reals)]
        zero = self.constant(np.zeros(len(step), np.int32))
        return [self.node("DequantizeLinear", [self.constant(codes), self.constant(step), zero], axis=0)]

    # running

    def run(self, operator, arrays, attributes, domain=""):
        """Reals that an operator gives of arrays, by onnxruntime; None where it refuses."""
        names = [f"i{place}" if one is not None else "" for place, one in enumerate(arrays)]
        kinds = [(name, one) for name, one in zip(names, arrays, strict=True) if name]
        infos = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(one.dtype), one.shape) for name, one in kinds
        ]
        graph = helper.make_graph([helper.make_node(operator, names, ["y"], domain=domain, **attributes)], "one", infos,
                                  [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)])  # fmt: skip
        try:
            return run_model(self.model_of(graph), dict(kinds), False)[0]
        except Exception:
            return None

    def model_of(self, graph):
        domains = {"": self.opset, MICROSOFT: 1, GENERAL: self.general}
        opsets = [helper.make_opsetid(domain, version) for domain, version in domains.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)

    def model(self, outputs):
        """The whole of it, with some of the values as outputs."""
        batch = len(self.images) if self.style == "qonnx" else "batch"  # qonnx asks for whole shapes
        kind = {np.dtype(np.uint8): TensorProto.UINT8, np.dtype(np.int8): TensorProto.INT8}
        ends = [helper.make_tensor_value_info(one.name, 1 if self.style == "qonnx" else kind[one.zero.dtype],
                                              [batch, *one.reals.shape[1:]]) for one in outputs]  # fmt: skip
        image = helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *self.shape])
        tensors = [numpy_helper.from_array(np.asarray(one), name) for name, one in self.constants.items()]
        return self.model_of(helper.make_graph(self.nodes, "random", [image], ends, tensors))


def quantised(reals, scale, signed, bits, rounding_mode="ROUND", narrow=0):
    """What Quant gives, about: no oracle, but the reals that the next draw's scale is chosen for."""
    low, high = (-(1 << bits - 1) + narrow, (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1 - narrow)
    return (np.clip(np.rint(reals / scale), low, high) * scale).astype(F32)


def run_model(model, feeds, fused=True):
    """Outputs by onnxruntime."""
    import onnxruntime as runtime

    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    options.add_session_config_entry("session.x64quantprecision", "1")
    if fused:
        options.add_session_config_entry("session.qdqisint8allowed", "1")
    else:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)
