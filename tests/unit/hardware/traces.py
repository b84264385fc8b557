"""Traces for the tests of the cost models."""

import msgspec

from addersim.arithmetic.ops import OpCounts
from addersim.trace import LayerTrace, MatrixWork, Operand, Trace


def window(name, pixels, taps, filters, inputs, groups=1, bits=8, accumulator_bits=24, **more):
    """A multiplying window layer."""
    work = MatrixWork(pixels, taps, filters, groups)
    return LayerTrace(
        name,
        "window",
        OpCounts({("mul", bits): work.taps, ("add", accumulator_bits): work.taps}),
        (Operand(inputs, bits),),
        Operand(pixels * filters * groups, accumulator_bits),
        Operand(taps * filters * groups, bits),
        datapath="mac",
        work=work,
        accumulator_bits=accumulator_bits,
        operand_bits=bits,
        **more,
    )


def batch_norm(name, words, channels, inputs=(), bits=8, **more):
    """Multiply, add and shift, usually fed by a fused window layer."""
    counts = OpCounts({("mul", 24): words, ("add", 32): words, ("shift", 32): words})
    return LayerTrace(name, "affine", counts, inputs, Operand(words, bits), Operand(channels, 54), **more)


def relu(name, words, inputs=(), bits=8, **more):
    """Compare and choose."""
    return LayerTrace(
        name, "relu", OpCounts({("cmp", bits): words, ("mux", bits): words}), inputs, Operand(words, bits), **more
    )


def add(name, words, inputs, bits=8, **more):
    """Residual addition."""
    return LayerTrace(name, "add", OpCounts({("add", bits + 1): words}), inputs, Operand(words, bits), **more)


def small_residual_network():
    """conv+bn+relu, conv+bn+add+relu around it, flatten, classifier: every way in which a value can move."""
    words = 16 * 64
    return Trace(
        "small",
        "hardware",
        (
            window("conv1", 64, 27, 16, inputs=3 * 64, fused=True, sources=(-1,)),
            batch_norm("bn1", words, 16, fused=True),
            relu("relu1", words),
            window("conv2", 64, 144, 16, inputs=words, fused=True, sources=(2,)),
            batch_norm("bn2", words, 16, fused=True),
            add("add", words, (Operand(words, 8),), fused=True, sources=(2,)),
            relu("relu2", words),
            LayerTrace("flatten", "move", OpCounts(), (Operand(words, 8),), Operand(words, 8), sources=(6,)),
            window("fc", 1, words, 10, inputs=words, sources=(7,)),
        ),
    )


def bottleneck_network(blocks=16):
    """A trace of the size of ResNet-50: ten layers a block."""
    layers = [window("stem", 12544, 147, 64, inputs=3 * 224 * 224, fused=True), relu("stem_relu", 12544 * 64)]
    words, last = 12544 * 64, 1
    for block in range(blocks):
        name, start = f"block{block}", last
        for part, (taps, filters) in enumerate(((256, 64), (576, 64), (64, 256))):
            outputs = 784 * filters
            layers.append(window(f"{name}.conv{part}", 784, taps, filters, inputs=words, fused=True, sources=(last,)))
            layers.append(batch_norm(f"{name}.bn{part}", outputs, filters, fused=True))
            if part == 2:
                operand = layers[start].output
                layers.append(
                    add(f"{name}.add", outputs, (operand,) if block else (), fused=True, sources=(start,) if block else ())
                )
            layers.append(relu(f"{name}.relu{part}", outputs))
            words, last = outputs, len(layers) - 1
    return Trace("bottleneck", "hardware", tuple(layers))


def fetching_weights(machine):
    """A machine that fetches the weights of every image anew, whether or not they would fit."""
    return msgspec.structs.replace(machine, buffers=msgspec.structs.replace(machine.buffers, keep_weights=False))
