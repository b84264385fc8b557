"""Quantization: a network becomes integers. The rules alone are had from here, since every floor reads them."""

from addersim.quantization.rules import Calibration, Circuit, Correction, LayerBits, Quantization, WeightRounding

__all__ = ["Calibration", "Circuit", "Correction", "LayerBits", "Quantization", "WeightRounding"]
