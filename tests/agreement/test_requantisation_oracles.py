"""Rules beside the frameworks whose they are, on networks of one operator; each framework where it is installed."""

import numpy as np
import pytest

from addersim import kernels
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.requantisation import RULES

CASES = range(12)


def drawn_format(random, signed, scale=None):
    plain = FixedFormat(8, signed)
    step = float(np.float32(2.0 ** random.uniform(-9, 1) if scale is None else scale))
    return FixedFormat(8, signed, step, int(random.integers(plain.minimum, plain.maximum + 1)))


def drawn_codes(random, form, shape):
    return random.integers(form.minimum, form.maximum + 1, shape).astype(form.dtype)


def tflite_outputs(operator, options, inputs, output, shape, constants=()):
    """What LiteRT's reference kernels give; inputs: codes and their formats; constants: arrays and their scales, or None."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    interpreters = pytest.importorskip("ai_edge_litert.interpreter")
    flatbuffers = pytest.importorskip("flatbuffers")
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.buffers, graph.tensors = 3, [schema.BufferT()], []

    def tensor(dims, kind, form=None, data=None, scales=None):
        one = schema.TensorT()
        one.shape, one.type, one.buffer = list(dims), kind, 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            model.buffers.append(buffer)
            one.buffer = len(model.buffers) - 1
        if form is not None:
            one.quantization = schema.QuantizationParametersT()
            one.quantization.scale, one.quantization.zeroPoint = [form.scale], [form.zero_point]
        if scales is not None:
            one.quantization = schema.QuantizationParametersT()
            one.quantization.scale, one.quantization.zeroPoint = [*scales], [0] * len(scales)
        graph.tensors.append(one)
        return len(graph.tensors) - 1

    def kind_of(form):
        return schema.TensorType.INT8 if form.signed else schema.TensorType.UINT8

    graph.inputs = [tensor(codes.shape, kind_of(form), form) for codes, form in inputs]
    kinds = {np.dtype("int8"): schema.TensorType.INT8, np.dtype("int32"): schema.TensorType.INT32}
    fixed = [tensor(one.shape, kinds[one.dtype], None, one, scales) for one, scales in constants]
    graph.outputs = [tensor(shape, kind_of(output), output)]
    code, node = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, operator)
    code.version = 3
    name, fields = options
    node.opcodeIndex, node.inputs, node.outputs = 0, graph.inputs + fixed, graph.outputs
    node.builtinOptionsType, node.builtinOptions = getattr(schema.BuiltinOptions, name), getattr(schema, f"{name}T")()
    for field, value in fields.items():
        setattr(node.builtinOptions, field, value)
    model.operatorCodes, graph.operators, model.subgraphs = [code], [node], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    interpreter = interpreters.Interpreter(
        model_content=bytes(builder.Output()), experimental_op_resolver_type=interpreters.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    for detail, (codes, _) in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(detail["index"], codes)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def weights_and_bias(random, given, outputs, inputs):
    weights = random.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    return weights, random.integers(-20000, 20000, outputs).astype(np.int32)


@pytest.mark.parametrize("case", CASES)
def test_sums_of_tflite(case):
    """A convolution rounds twice, a fully connected layer once: each differs from the other rule somewhere."""
    random = np.random.default_rng(case)
    given, output, steps = drawn_format(random, True, 0.1), drawn_format(random, True, 3.7), 2.0 ** random.uniform(-9, -4, 256)
    x = drawn_codes(random, given, (64, 30))
    weights, bias = weights_and_bias(random, given, 256, 30)
    sums = ((x.astype(np.int64) - given.zero_point) @ weights.astype(np.int64).T).astype(np.int32)
    steps = steps.astype(np.float32)
    by_channel = given.scale * steps.astype(np.float64) / output.scale
    options = ("Conv2DOptions", {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1})
    constants = [(weights[:, None, None], steps), (bias, given.scale * steps)]
    found = tflite_outputs("CONV_2D", options, [(x[None, None], given)], output, (1, 1, 64, 256), constants)[0, 0]
    twice, once = (kernels.requantize(sums, by_channel, bias, rule, output=output).values for rule in ("tflite", "tosa"))
    np.testing.assert_array_equal(twice, found)
    constants = [(weights, steps[:1]), (bias, given.scale * steps[:1])]
    dense = tflite_outputs("FULLY_CONNECTED", ("FullyConnectedOptions", {}), [(x, given)], output, (64, 256), constants)
    rules = RULES["tflite"].dense, "tflite"
    scale = [float(np.float32(given.scale) * steps[0]) / output.scale]
    first, other = (kernels.requantize(sums, scale, bias, rule, output=output).values for rule in rules)
    np.testing.assert_array_equal(first, dense)
    assert not np.array_equal(once, twice) or case
    assert not np.array_equal(first, other) or case


@pytest.mark.parametrize("case", CASES)
def test_additions_of_tflite(case):
    random, signed = np.random.default_rng(case), case % 2 == 0
    a, b, y = (drawn_format(random, signed) for _ in range(3))
    larger = max(a.scale, b.scale)
    first, second = (drawn_codes(random, one, (1, 7, 9, 32)) for one in (a, b))
    found = tflite_outputs("ADD", ("AddOptions", {}), [(first, a), (second, b)], y, first.shape)
    assert larger < 2**19 * y.scale
    np.testing.assert_array_equal(kernels.rescaled_add(first, second, a, b, "tflite", output=y).values, found)


@pytest.mark.parametrize("case", CASES)
def test_codes_and_products_of_tflite_to_another_scale(case):
    random, signed = np.random.default_rng(case), case % 2 == 0
    a, b, y = (drawn_format(random, signed) for _ in range(3))
    first, second = (drawn_codes(random, one, (1, 7, 9, 32)) for one in (a, b))
    found = tflite_outputs("QUANTIZE", ("QuantizeOptions", {}), [(first, a)], y, first.shape)
    bias = np.full(32, -a.zero_point)
    np.testing.assert_array_equal(kernels.requantize(first, [a.scale / y.scale], bias, "tflite", output=y).values, found)
    found = tflite_outputs("MUL", ("MulOptions", {}), [(first, a), (second, b)], y, first.shape)
    products = (first.astype(np.int32) - a.zero_point) * (second.astype(np.int32) - b.zero_point)
    scale = float(np.float32(a.scale) * np.float32(b.scale) / np.float32(y.scale))
    np.testing.assert_array_equal(kernels.requantize(products, [scale], np.zeros(32, int), "tflite", output=y).values, found)


@pytest.mark.parametrize("case", CASES)
def test_means_of_tflite(case):
    random, signed = np.random.default_rng(case), case % 2 == 0
    given, output = drawn_format(random, signed), drawn_format(random, signed)
    height, width = (int(one) for one in random.integers(1, 12, 2))
    x = drawn_codes(random, given, (1, height, width, 32))
    kernel = tuple(int(random.integers(1, size + 1)) for size in (height, width))
    sizes = tuple(-(-size // 2) for size in (height, width))
    padding = [max((one - 1) * 2 + taps - size, 0) for one, taps, size in zip(sizes, kernel, (height, width), strict=True)]
    fields = {"padding": 0, "strideH": 2, "strideW": 2, "filterHeight": kernel[0], "filterWidth": kernel[1]}
    found = tflite_outputs("AVERAGE_POOL_2D", ("Pool2DOptions", fields), [(x, given)], given, (1, *sizes, 32))
    before = tuple(one // 2 for one in padding)
    windows = {"stride": (2, 2), "padding": before, "far_padding": tuple(p - b for p, b in zip(padding, before, strict=True))}
    np.testing.assert_array_equal(kernels.rescaled_mean(x, given, "tflite", kernel, output=given, **windows).values, found)
    axes = np.array([1, 2], np.int32)
    options = ("ReducerOptions", {"keepDims": True})
    for form in (given, output):
        found = tflite_outputs("MEAN", options, [(x, given)], form, (1, 1, 1, 32), [(axes, None)])
        mean = kernels.rescaled_mean(x, given, "tflite", (height, width), output=form, operator="reduction")
        np.testing.assert_array_equal(mean.values, found)


@pytest.mark.parametrize("case", CASES)
def test_softmax_of_tflite(case):
    random = np.random.default_rng(case)
    given, output = drawn_format(random, True), FixedFormat(8, scale=2**-8, zero_point=-128)
    x = drawn_codes(random, given, (40, int(random.integers(1, 250)))) // (1 + case % 3 * 10)
    beta = (1.0, 0.5, 2.0)[case % 3]
    found = tflite_outputs("SOFTMAX", ("SoftmaxOptions", {"beta": beta}), [(x, given)], output, x.shape)
    np.testing.assert_array_equal(kernels.softmax(x, given, "tflite", output=output, beta=beta), found)


def onnx_outputs(operator, inputs, constants, domain="", **attributes):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    helper, kinds = onnx.helper, {np.dtype("int8"): onnx.TensorProto.INT8, np.dtype("uint8"): onnx.TensorProto.UINT8}
    node = helper.make_node(operator, [*attributes.pop("names")], ["y"], domain=domain, **attributes)
    kind = kinds[next(iter(inputs.values())).dtype]
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info(name, kinds[one.dtype], one.shape) for name, one in inputs.items()],
        [helper.make_tensor_value_info("y", kind, None)],
        [onnx.numpy_helper.from_array(np.asarray(one), name) for name, one in constants.items()],
    )
    sets = [helper.make_opsetid("", 13), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=sets, ir_version=8)
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


def of_format(form, prefix):
    return {f"{prefix}s": np.float32(form.scale), f"{prefix}z": form.dtype.type(form.zero_point)}


@pytest.mark.parametrize("case", CASES)
def test_sums_of_onnx_runtime(case):
    random = np.random.default_rng(case)
    given, output = drawn_format(random, False), drawn_format(random, False)
    x, weights = drawn_codes(random, given, (1, 16, 12, 12)), random.integers(-127, 128, (24, 16, 1, 1)).astype(np.int8)
    steps = (2.0 ** random.uniform(-9, -5, 24)).astype(np.float32)
    bias = random.integers(-5000, 5000, 24).astype(np.int32)
    constants = (
        of_format(given, "x") | of_format(output, "y") | {"w": weights, "ws": steps, "wz": np.zeros(24, np.int8), "b": bias}
    )
    names = ("x", "xs", "xz", "w", "ws", "wz", "ys", "yz", "b")
    found = onnx_outputs("QLinearConv", {"x": x}, constants, names=names)
    sums = (x.astype(np.int64) - given.zero_point).transpose(0, 2, 3, 1) @ weights[:, :, 0, 0].astype(np.int64).T
    scales = np.float32(given.scale) * steps / np.float32(output.scale)
    codes = kernels.requantize(sums.astype(np.int32), scales, bias.astype(np.int64), "ort", output=output).values
    np.testing.assert_array_equal(codes.transpose(0, 3, 1, 2), found)


@pytest.mark.parametrize("case", CASES)
def test_additions_of_onnx_runtime(case):
    random, signed = np.random.default_rng(case), case % 2 == 0
    a, y = drawn_format(random, signed), drawn_format(random, signed)
    b = drawn_format(random, signed, a.scale * (0.5, 1, 1.5, 0.3)[case % 4])
    first, second = (drawn_codes(random, one, (1, 3000)) for one in (a, b))
    constants = of_format(a, "a") | of_format(b, "b") | of_format(y, "y")
    names = ("a", "as", "az", "b", "bs", "bz", "ys", "yz")
    found = onnx_outputs("QLinearAdd", {"a": first, "b": second}, constants, "com.microsoft", names=names)
    np.testing.assert_array_equal(kernels.rescaled_add(first, second, a, b, "ort", output=y).values, found)


@pytest.mark.parametrize("case", CASES)
def test_means_of_onnx_runtime(case):
    random, signed = np.random.default_rng(case), case % 2 == 0
    given = drawn_format(random, signed)
    output = drawn_format(random, signed, given.scale if case % 3 else None)
    x = drawn_codes(random, given, (2, 24, 7, 6))
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    constants, names = of_format(given, "x") | of_format(output, "y"), ("x", "xs", "xz", "ys", "yz")
    found = onnx_outputs("QLinearGlobalAveragePool", {"x": x}, constants, "com.microsoft", names=names, channels_last=0)
    mean = kernels.rescaled_mean(last, given, "ort", (7, 6), output=output, operator="reduction").values
    np.testing.assert_array_equal(mean.transpose(0, 3, 1, 2), found)
    for counted in (0, 1):
        moves = {"kernel_shape": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 0], "count_include_pad": counted}
        found = onnx_outputs("QLinearAveragePool", {"x": x}, constants, "com.microsoft", names=names, **moves)
        windows = {"stride": (2, 2), "padding": (1, 0), "count_padding": bool(counted)}
        mean = kernels.rescaled_mean(last, given, "ort", (3, 2), output=output, **windows).values
        np.testing.assert_array_equal(mean.transpose(0, 3, 1, 2), found)


@pytest.mark.parametrize(("rule", "mode"), [("qonnx", "ROUND"), ("qonnx-ceil", "CEIL"), ("qonnx-floor", "FLOOR")])
@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize("signed", [True, False])
def test_quant_nodes_of_qonnx(rule, mode, narrow, signed):
    quant = pytest.importorskip("qonnx.custom_op.general.quant").quant
    random = np.random.default_rng(0)
    for bits in (2, 4, 8):
        plain = FixedFormat(bits, signed)
        output = FixedFormat(
            bits, signed, float(np.float32(random.uniform(0.1, 2))), int(random.integers(0, plain.maximum + 1))
        )
        sums, step = random.integers(-2000, 2000, (200, 16)).astype(np.int32), np.float32(random.uniform(1e-3, 1e-1))
        reals = sums.astype(np.float32) * step
        scale, zero = np.float32(output.scale), np.float32(output.zero_point)
        low = output.minimum + (narrow and signed)
        high = output.maximum - (narrow and not signed)
        found = quant(reals, scale, zero, np.float32(bits), signed, narrow, mode)
        scales = [float(step) / output.scale]
        codes = kernels.requantize(sums, scales, np.zeros(16, int), rule, output=output, low=low, high=high).values
        np.testing.assert_array_equal((codes.astype(np.float32) - zero) * scale, found)
