"""Quantize: a float Network becomes an integer Program, after training and without retraining."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from msgspec.structs import replace

from addersim import kernels
from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.fixed import FixedFormat
from addersim.arithmetic.multiplier import MultiplierTable
from addersim.datasets.records import Images as ImageSet
from addersim.datasets.records import pixels_and_labels
from addersim.errors import QuantizationError, check_kind
from addersim.images import Images, ManyImages, check_images
from addersim.inputs.text import did_you_mean
from addersim.layers import Affine, AnyIntegerLayer, IntegerLayer, IntegerWindow, Plan, Window
from addersim.network import INPUT, Network, walk
from addersim.program import SIGNED_INPUT, Program
from addersim.quantization.bias_correction import corrected
from addersim.quantization.calibration import Sample, channel_scales, sample_network
from addersim.quantization.output_errors import find_readers, round_to_output
from addersim.quantization.rewrites import (
    clip_weights,
    fold_batch_norm,
    pair_windows,
    scale_channels,
    split_log_softmax,
    without_final_softmax,
)
from addersim.quantization.rules import LayerBits, Quantization
from addersim.quantization.value_formats import Wiring, choose_formats, sum_step
from addersim.streamed import Streamed

__all__ = [
    "Laid",
    "LayerBits",
    "Prepared",
    "Quantization",
    "assemble",
    "check_layer_names",
    "lay_out",
    "prepare",
    "quantize",
    "quantize_prepared",
]

_LOG = logging.getLogger(__name__)

Array = npt.NDArray[Any]


def quantize(
    network: Network,
    images: ManyImages | ImageSet | None,
    how: Quantization = Quantization(),  # noqa: B008  # frozen
    *,
    multiplier: MultiplierTable | None = None,
) -> Program:
    """Turn a trained network into a program of integer layers.

    Parameters
    ----------
    network
        Trained network.
    images
        Calibration images as `Network.values` takes them, or `addersim.Images`; a few hundred are enough. None makes a program
        that can only be counted: its formats have the right widths and arbitrary scales.
    how
        Bit widths and rules.
    multiplier
        Multiplies in all multiplying window layers; `Quantization.correction` then restores each channel's statistics from the
        sums of its products. `Program.with_multiplier` leaves the constants as they are for exact ones.

    Raises
    ------
    QuantizationError
        For a width given to a layer that does not exist, or a network that cannot be held in the formats.
    NetworkError
        Where an accumulator said to be exact is too narrow for a layer.
    """
    check_kind(network, Network, "quantize: network")
    check_kind(how, Quantization, "quantize: how", "such as addersim.Quantization(weight_bits=6, activation_bits=6)")
    check_layer_names(how, network)
    pixels = pixels_and_labels(images)[0]
    calibrating = np.asarray(pixels) if isinstance(pixels, Streamed) else pixels
    return quantize_prepared(prepare(network, calibrating, how.fold_batch_norm), how, multiplier=multiplier)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What quantising a network needs whatever the bit widths: made once, it serves any number of programs.

    Attributes
    ----------
    network
        Every window with its one affine layer, batch norm folded where asked.
    twins
        The original layer for which each of its layers stands.
    folded
        Whether batch norm was folded.
    images
        Calibration images, or None.
    samples
        What each value looks like on them.
    shared
        By window that shares weights, the window that has them.
    """

    network: Network
    twins: Mapping[str, str]
    folded: bool
    images: Images | None
    samples: Mapping[str, Sample]
    shared: Mapping[str, str]


def prepare(network: Network, images: Images | None, folded: bool = True, threads: int | None = None) -> Prepared:
    """Rewrite a network for integers and look at its values on calibration images; arguments as in `quantize`."""
    _LOG.info("quantize: %s, %s", network.name, "shapes alone" if images is None else f"calibrated on {len(images)} images")
    paired, twins = pair_windows(split_log_softmax(without_final_softmax(network)))
    own = {INPUT, *(layer.name for layer in network.layers)}
    twins = {name: twin for name, twin in twins.items() if twin in own}
    if folded:
        paired = fold_batch_norm(paired)
    samples = _nominal_samples(paired) if images is None else sample_network(paired, _some(images, network), threads=threads)
    shared = {layer.name: layer.shared for layer in network.layers if isinstance(layer, Window) and layer.shared}
    return Prepared(paired, twins, folded, images, samples, shared)


def quantize_prepared(
    prepared: Prepared, how: Quantization, threads: int | None = None, multiplier: MultiplierTable | None = None
) -> Program:
    """The program that `quantize` gives, from a network that is prepared.

    Parameters
    ----------
    prepared
        Made with ``how.fold_batch_norm``.
    how
        Bit widths and rules.
    threads
        Kernel threads; does not change any result.
    multiplier
        As in `quantize`.
    """
    laid = lay_out(prepared, how)
    network, plan = laid.network, laid.plan
    program = assemble(network, plan, [layer.integer(plan) for layer in network.layers])
    if multiplier is not None:
        program = program.with_multiplier(multiplier)
    if prepared.images is None or (how.correction == "none" and how.weight_rounding == "nearest"):
        return program
    return _adjust(program, network, plan, prepared.samples, prepared.images, threads)


@dataclass(frozen=True, slots=True)
class Laid:
    """A prepared network with every format chosen: what integer layers are made from.

    Attributes
    ----------
    network
        Weights are clipped to their inputs, and those of linear windows divided by the scales of their filters.
    plan
        Formats and scales.
    """

    network: Network
    plan: Plan


def lay_out(prepared: Prepared, how: Quantization) -> Laid:
    """Choose the formats of a prepared network, and bring its weights to their grids; arguments as `quantize_prepared`."""
    if prepared.folded != how.fold_batch_norm:
        raise QuantizationError(f"network {prepared.network.name}: prepared with another fold_batch_norm than the rules have")
    paired, samples, calibrated = prepared.network, prepared.samples, prepared.images is not None
    check_layer_names(how, paired)
    how = how.for_windows([layer.name for layer in paired.layers if isinstance(layer, Window)])
    below_zero = calibrated and samples[INPUT].minimum < 0
    wiring = Wiring.of(paired, how.overflow, signed_input=below_zero)
    readers = {}
    if prepared.images is not None and how.calibration == "output":
        readers = find_readers(paired, prepared.images, wiring.quiet)
    formats = choose_formats(paired, wiring, how, samples, readers)
    if how.clip_weights:
        paired = clip_weights(paired, _input_ranges(paired, formats))
    scales = {name: one.scale for name, one in formats.items()}
    paired = _scale_weights(paired, how if calibrated else replace(how, calibration="min-max"), formats, scales)
    paired = _shared(paired, prepared.shared, formats, how)
    plan = Plan(
        formats=formats,
        scales=scales,
        twins={
            name: twin for name, twin in prepared.twins.items() if name not in wiring.quiet and _is_compared(name, formats)
        },
        how=how,
        calibrated=calibrated,
    )
    return Laid(paired, plan)


def _is_compared(name: str, formats: Mapping[str, FixedFormat]) -> bool:
    """Whether codes stand for the float values: a sign alone does not."""
    return name not in formats or formats[name].bits > 1


def assemble(network: Network, plan: Plan, layers: Sequence[IntegerLayer]) -> Program:
    """The program of a network's integer layers."""
    return Program(
        name=network.name,
        input_shape=network.input_shape,
        mean=network.mean,
        std=network.std,
        input=plan.formats[INPUT],
        rounding=plan.how.rounding,
        layers=cast("tuple[AnyIntegerLayer, ...]", tuple(layers)),
        classes=network.classes,
        metadata=network.metadata | _input_sign(network, plan.formats[INPUT]),
        calibrated=plan.calibrated,
        preprocessing_known=network.preprocessing_known,
    )


def _input_sign(network: Network, chosen: FixedFormat) -> dict[str, str]:
    """Why an input is signed that pixels would leave unsigned."""
    surprising = chosen.signed and all(mean <= 0 for mean in network.mean)
    return {SIGNED_INPUT: "signed: the calibration images hold negative values"} if surprising else {}


def _some(images: Images, network: Network) -> Images:
    check_images(images, network.input_shape, network.preprocessing, f"network {network.name}")
    if len(images) == 0:
        raise QuantizationError(f"network {network.name}: no calibration images; give at least one")
    return images


def check_layer_names(how: Quantization, network: Network) -> None:
    """Refuse rules with widths for a layer that is no window of the network."""
    known = dict.fromkeys(layer.name for layer in network.layers if isinstance(layer, Window))
    for name in how.layers:
        if name not in known:
            raise QuantizationError(
                f"layers.{name}: no window layer has this name; known: {', '.join(known)}{did_you_mean(name, known)}"
            )


def _nominal_samples(network: Network) -> dict[str, Sample]:
    """Samples for a program that is only counted: every value spans -1..1."""
    ends = np.array([-1.0, 1.0], np.float32)
    one = Sample(-1.0, 1.0, ends, np.zeros(1), np.ones(1))
    return dict.fromkeys((INPUT, *(layer.name for layer in network.layers)), one)


def _input_ranges(network: Network, formats: Mapping[str, FixedFormat]) -> dict[str, tuple[float, float]]:
    windows = [layer for layer in network.layers if isinstance(layer, Window)]
    return {layer.name: (formats[layer.inputs[0]].low, formats[layer.inputs[0]].high) for layer in windows}


def _scale_weights(
    network: Network, how: Quantization, formats: Mapping[str, FixedFormat], scales: dict[str, float]
) -> Network:
    """Bring the filters of linear windows to weight codes of scale one, and note the scale of every window's sum."""
    by_filter: dict[str, Array] = {}
    for layer in network.layers:
        if not isinstance(layer, Window):
            continue
        record, bits = ARITHMETICS[layer.arithmetic], layer.stored_bits(how)
        source = formats[layer.inputs[0]]
        scales[layer.name] = sum_step(layer, how, source)
        if not record.linear:
            continue
        found = channel_scales(layer.weights, record.codec, bits, how.calibration, how.per_channel)
        by_filter[layer.name] = 2.0 ** np.ceil(np.log2(found)) if how.power_of_two else found
    return scale_channels(network, by_filter)


def _shared(network: Network, shared: Mapping[str, str], formats: Mapping[str, FixedFormat], how: Quantization) -> Network:
    """Windows share weights as in the original where rewrites left them equal, on one grid, in one width: so are codes."""
    windows = {layer.name: layer for layer in network.layers if isinstance(layer, Window)}

    def same(one: Window, owner: Window) -> bool:
        widths = {layer.stored_bits(how) for layer in (one, owner)}
        alike = len(widths) == 1 and how.weight_rounding == "nearest"
        grids = not ARITHMETICS[one.arithmetic].shared_scale or formats[one.inputs[0]] == formats[owner.inputs[0]]
        return alike and grids and one.arithmetic == owner.arithmetic and np.array_equal(one.weights, owner.weights)

    kept = {name: owner for name, owner in shared.items() if same(windows[name], windows[owner])}
    layers = tuple(
        replace(one, shared=kept[one.name]) if isinstance(one, Window) and one.name in kept else one for one in network.layers
    )
    return replace(network, layers=layers)


def _adjust(
    program: Program, network: Network, plan: Plan, samples: Mapping[str, Sample], images: Images, threads: int | None
) -> Program:
    """Run the program layer by layer, and choose weight codes and affine constants by what each layer is given.

    Rounding moves the mean of a sum of absolute differences the same way at every output, and the next layers see it; batch
    norm's addend can take it back. With ``mean-variance`` the multiplier restores the spread as well.
    """
    floats = {layer.name: layer for layer in network.layers}
    adjusted: list[IntegerLayer] = []

    def run(layer: IntegerLayer, inputs: list[Array]) -> Array:
        twin = floats[layer.name]
        if isinstance(layer, IntegerWindow) and isinstance(twin, Window) and _rounds_to_output(twin, plan.how):
            operands = inputs[0].astype(np.int32) - layer.input_format.zero_point
            layer = round_to_output(layer, twin.weights.transpose(0, 2, 3, 1), operands)
        if isinstance(twin, Affine) and isinstance(floats.get(twin.inputs[0]), Window) and plan.how.correction != "none":
            sums = inputs[0].reshape(-1, inputs[0].shape[-1]) * plan.scales[twin.inputs[0]]
            target = samples[twin.name]
            layer = corrected(twin, sums, target.mean, target.std, plan.how.correction).integer(plan)
        adjusted.append(layer)
        return cast("Array", layer.run(kernels, *inputs, threads=threads).values)

    for _ in walk(program.layers, program.encode(images), run):
        pass
    return assemble(network, plan, adjusted)


def _rounds_to_output(window: Window, how: Quantization) -> bool:
    record = ARITHMETICS[window.arithmetic]
    return how.weight_rounding == "output" and record.linear and record.codec.uniform
