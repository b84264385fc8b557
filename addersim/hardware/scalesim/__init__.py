"""SCALE-Sim: its configurations as accelerators, its own numbers, its reports."""

from addersim.hardware.scalesim.config import parse_scalesim

__all__ = ["parse_scalesim"]
