"""TFLite models in the making: small networks of codes, as bytes."""

import numpy as np
import pytest

tflite = pytest.importorskip("tflite")
flatbuffers = pytest.importorskip("flatbuffers")

KINDS = {"INT8": np.int8, "UINT8": np.uint8, "INT32": np.int32, "INT64": np.int64, "FLOAT32": np.float32, "INT16": np.int16}

VERSIONS = {"BROADCAST_TO": 2}
"""Of the operators whose first version knows no codes, as LiteRT is to be told."""


def _record(builder, kind, **fields):
    getattr(tflite, f"{kind}Start")(builder)
    for name, value in fields.items():
        if value is not None:
            getattr(tflite, f"{kind}Add{name}")(builder, value)
    return getattr(tflite, f"{kind}End")(builder)


def _numbers(builder, values, kind):
    return builder.CreateNumpyVector(np.asarray(values, kind).reshape(-1))


def _records(builder, places):
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return builder.EndVector()


class Model:
    """Tensors and operators, by number; tensor 0 is the input unless `content` is told others."""

    def __init__(self):
        self.tensors, self.operators = [], []

    def tensor(self, name, shape, kind="INT8", scale=None, zero=0, axis=0, data=None, signature=None, **more):
        """Its number; `scale` and `zero` are one or a list, `data` makes it a constant."""
        self.tensors.append(
            {"name": name, "shape": shape, "kind": kind, "scale": scale, "zero": zero, "axis": axis, "data": data}
            | {"signature": signature} | more
        )  # fmt: skip
        return len(self.tensors) - 1

    def constant(self, name, data, kind, **more):
        """A constant's number."""
        data = np.asarray(data, KINDS[kind])
        return self.tensor(name, data.shape, kind, data=data, **more)

    def operator(self, name, inputs, outputs, options=None, custom=None, **values):
        """Append an operator; `options` is the schema's name of the record that holds `values`."""
        self.operators.append((name, inputs, outputs, options, custom, values))

    def content(self, inputs=(0,), outputs=None, graphs=1):
        """The whole model as bytes; the output is that of the last operator."""
        builder = flatbuffers.Builder(1024)
        buffers = [_record(builder, "Buffer")]
        tensors = [self._tensor(builder, buffers, **one) for one in self.tensors]
        codes = {(name, custom): place for place, (name, custom) in enumerate({(one[0], one[4]): 0 for one in self.operators})}
        operators = [self._operator(builder, codes, *one) for one in self.operators]
        last = self.operators[-1][2] if outputs is None else outputs
        fields = {
            "Tensors": _records(builder, tensors),
            "Inputs": _numbers(builder, inputs, np.int32),
            "Outputs": _numbers(builder, last, np.int32),
            "Operators": _records(builder, operators),
        }
        graph = _record(builder, "SubGraph", **fields)
        words = [self._code(builder, name, custom) for name, custom in codes]
        model = _record(
            builder,
            "Model",
            Version=3,
            OperatorCodes=_records(builder, words),
            Subgraphs=_records(builder, [graph] * graphs),
            Buffers=_records(builder, buffers),
        )
        builder.Finish(model, b"TFL3")
        return bytes(builder.Output())

    @staticmethod
    def _code(builder, name, custom):
        number = getattr(tflite.BuiltinOperator, name)
        fields = {"DeprecatedBuiltinCode": min(number, 127), "BuiltinCode": number, "Version": VERSIONS.get(name, 1)}
        return _record(builder, "OperatorCode", CustomCode=builder.CreateString(custom) if custom else None, **fields)

    @staticmethod
    def _tensor(builder, buffers, name, shape, kind, scale, zero, axis, data, signature, variable=False, buffer=None):
        place = 0
        if data is not None:
            content = _numbers(builder, np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8), np.uint8)
            buffers.append(_record(builder, "Buffer", Data=content))
            place = len(buffers) - 1
        how = None
        if scale is not None:
            zeros = None if zero is None else _numbers(builder, np.broadcast_to(zero, np.size(scale)), np.int64)
            how = _record(
                builder,
                "QuantizationParameters",
                Scale=_numbers(builder, scale, np.float32),
                ZeroPoint=zeros,
                QuantizedDimension=axis,
            )
        return _record(
            builder,
            "Tensor",
            Shape=_numbers(builder, shape, np.int32),
            Type=getattr(tflite.TensorType, kind),
            Buffer=place if buffer is None else buffer,
            Name=builder.CreateString(name),
            Quantization=how,
            IsVariable=variable,
            ShapeSignature=None if signature is None else _numbers(builder, signature, np.int32),
        )

    @staticmethod
    def _operator(builder, codes, name, inputs, outputs, options, custom, values):
        held = None
        if options:
            held = {key: _numbers(builder, one, np.int32) if isinstance(one, tuple) else one for key, one in values.items()}
            held = _record(builder, options, **held)
        return _record(
            builder,
            "Operator",
            OpcodeIndex=codes[name, custom],
            Inputs=_numbers(builder, inputs, np.int32),
            Outputs=_numbers(builder, outputs, np.int32),
            BuiltinOptionsType=getattr(tflite.BuiltinOptions, options) if options else 0,
            BuiltinOptions=held,
        )


def one(name, inputs, output, options=None, **values):
    """A model of one operator: `inputs` and `output` are keywords of `Model.tensor`."""
    model = Model()
    places = [model.tensor(**{"name": f"in{number}"} | given) for number, given in enumerate(inputs)]
    model.operator(name, places, [model.tensor(**{"name": "out"} | output)], options, **values)
    return model


def codes(shape, kind="INT8", scale=0.05, zero=3):
    """Keywords of a tensor of activations."""
    return {"shape": shape, "kind": kind, "scale": scale, "zero": zero}


def weights(shape, random, kind="INT8", axis=0, channels=None, zero=0):
    """Keywords of a constant tensor of codes: of one scale, or of one a channel."""
    ends = np.iinfo(KINDS[kind])
    data = random.integers(max(ends.min, -127), ends.max + 1, shape).astype(KINDS[kind])
    scale = 0.01 if channels is None else random.uniform(0.002, 0.02, channels)
    return {"shape": shape, "kind": kind, "scale": scale, "zero": zero, "axis": axis, "data": data, "name": "weights"}


def bias(count, random):
    """Keywords of a constant tensor of int32."""
    return {"shape": (count,), "kind": "INT32", "data": random.integers(-3000, 3000, count).astype(np.int32), "name": "bias"}
