"""Quantization: the rules by which a network becomes integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from addersim.arithmetic.arithmetics import ARITHMETICS
from addersim.arithmetic.datapaths import DATAPATHS, Datapath, datapaths_of
from addersim.arithmetic.fixed import Accumulator, Overflow, Rounding
from addersim.errors import FormatError
from addersim.inputs.limits import BITS, MULTIPLIER_BITS

__all__ = ["Calibration", "Circuit", "Correction", "LayerBits", "Quantization", "WeightRounding"]

Calibration = Literal["mse", "percentile", "min-max", "output"]
Correction = Literal["none", "mean", "mean-variance"]
Circuit = Literal["2a", "1c1a", "xor"]
WeightRounding = Literal["nearest", "output"]


class LayerBits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bit widths of one window layer; None keeps the general width."""

    weight_bits: int | None = None
    activation_bits: int | None = None


class Quantization(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How to turn a network into integers.

    Attributes
    ----------
    weight_bits, activation_bits
        2..16, for all window layers; the activation width of a layer is that of its input, the image included. A wider wish
        than the codec of a layer's weights has gets the widest: 1 bit for ``xnor`` (inputs, too), 2 for ``ternary``, 5 for
        ``shift`` and ``apot``.
    layers
        Other widths for single window layers, by name.
    ends_bits
        Width of weights and activations in the first and the last window layer, where `layers` does not say otherwise; None
        is the general width.
    output_bits
        Width of the class scores, which nothing but the final comparison reads.
    accumulator
        The register of every window layer.
    circuit
        The datapath of ``l1`` layers: 2a, 1c1a or xor (same numbers, different bills).
    clip_weights
        Clip adder weights to their input's range, exactly, with the constant in the following addend.
    fold_batch_norm
        Fold batch norm into the weights of ``mac`` layers (adder layers cannot).
    per_channel
        One weight scale a filter in ``mac`` layers instead of one a layer; the following multiplier absorbs it.
    calibration, percentile
        How scales are chosen from what the calibration images show. ``output`` starts from ``mse`` and takes another scale
        where that clearly lowers the error behind the windows that read the value.
    weight_rounding
        ``nearest`` rounds each weight by itself, as `rounding` says. ``output`` rounds those of ``mac`` windows up or down
        such that their errors cancel in the sums of the calibration images; adder layers gain nothing from it and keep the
        nearest codes.
    correction
        Adjust the multiply-add after each window so that each channel keeps the float network's mean (and variance) on the
        calibration images. Changes constants only, costs nothing in hardware.
    power_of_two
        Round every scale up to a power of two.
    multiplier_bits
        Width of the multipliers of batch norm and requantisation, 2..32.
    zero_points
        Give signed activations of at most 8 bits the zero point at which their codes hold just the range that the calibration
        images show, where all layers around them take one; adder weights, which share their input's scale, then share it too.
        Values that are never negative have all codes as it is.
    rounding, overflow
        Of every narrowing step.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    layers: dict[str, LayerBits] = {}
    ends_bits: int | None = None
    output_bits: int = 16
    accumulator: Accumulator = Accumulator()
    circuit: Circuit = "2a"
    clip_weights: bool = True
    fold_batch_norm: bool = True
    per_channel: bool = True
    calibration: Calibration = "mse"
    percentile: float = 99.99
    weight_rounding: WeightRounding = "nearest"
    correction: Correction = "mean-variance"
    power_of_two: bool = False
    multiplier_bits: int = 16
    zero_points: bool = False
    rounding: Rounding = "half-even"
    overflow: Overflow = "saturate"

    def __post_init__(self) -> None:
        widths: list[tuple[str, int | None]] = [(field, getattr(self, field)) for field in ("weight_bits", "activation_bits")]
        widths += [("output_bits", self.output_bits), ("ends_bits", self.ends_bits)]
        for name, layer in self.layers.items():
            widths += [(f"layers.{name}.{field}", getattr(layer, field)) for field in ("weight_bits", "activation_bits")]
        for field, bits in widths:
            if bits is not None:
                BITS.check(bits, field, FormatError)
        MULTIPLIER_BITS.check(self.multiplier_bits, "multiplier_bits", FormatError)
        if not 50.0 < self.percentile <= 100.0:
            raise FormatError(f"percentile: {self.percentile} is outside 50..100")

    def for_windows(self, names: Sequence[str]) -> Quantization:
        """The same rules for a network whose window layers have these names, in order: the ends are layers like others."""
        if self.ends_bits is None or not names:
            return self
        layers = dict(self.layers)
        for name in (names[0], names[-1]):
            own = layers.get(name, LayerBits())
            weights, activations = (self.ends_bits if one is None else one for one in (own.weight_bits, own.activation_bits))
            layers[name] = LayerBits(weight_bits=weights, activation_bits=activations)
        return msgspec.structs.replace(self, layers=layers, ends_bits=None)

    def weight_bits_of(self, layer: str, arithmetic: str, trained: int | None = None) -> int:
        """Stored width of a window layer's weights: as asked, but no more than its codec has and it was trained for."""
        own = self.layers.get(layer, LayerBits()).weight_bits
        asked = self.weight_bits if own is None else own
        return ARITHMETICS[arithmetic].codec.bits(min(asked, trained or asked), f"layer {layer}")

    def activation_bits_of(self, layer: str, arithmetic: str) -> int:
        """Width of a window layer's input: as asked, but where its arithmetic reads signs alone."""
        own = self.layers.get(layer, LayerBits()).activation_bits
        return ARITHMETICS[arithmetic].activation_bits or (self.activation_bits if own is None else own)

    def datapath_of(self, arithmetic: str) -> Datapath:
        """The circuit of an arithmetic: as chosen for adder layers, otherwise the usual one."""
        return DATAPATHS[f"l1-{self.circuit}"] if arithmetic == "l1" else datapaths_of(arithmetic)[0]

    def clips(self, arithmetic: str) -> bool:
        """Whether weights are clipped to their input's range."""
        return self.clip_weights and ARITHMETICS[arithmetic].exact_clip
