"""Toggles: how often bits of operands and sums change at an element's registers, from one tap to the next, on average."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Toggles"]


class Toggles(NamedTuple):
    """What the operands of taps do, bits of a word summed, as means over taps.

    Attributes
    ----------
    order
        In which order elements take the taps: a dataflow, which says what is held (`addersim.hardware.tap_order`).
    zeros
        Share of the taps whose input is zero, padding included.
    input_changes, weight_changes
        Bits that differ from those of the tap before.
    input_ones, weight_ones
        Bits that are one.
    sum_changes
        Bits of the sum so far that differ from those of the tap before; None where nobody saw it. On a row stationary array
        that is what the register of the sum that comes takes, nothing where a sum begins.
    """

    order: str
    zeros: float
    input_changes: float
    weight_changes: float
    input_ones: float
    weight_ones: float
    sum_changes: float | None = None

    @property
    def terms(self) -> tuple[float, ...]:
        """What the energy of a tap is linear in, as rows of processing elements have it (`prices.row.OF_TOGGLES`).

        Of the sum only where it was seen: one term less otherwise.
        """
        of_operands = 1.0, -self.zeros, self.input_changes, self.weight_changes, self.product_changes
        return of_operands if self.sum_changes is None else (*of_operands, self.sum_changes)

    @property
    def product_changes(self) -> float:
        """Changes of the products of each bit of one operand with each bit of the other: of a multiplier's first gates.

        Such a product changes where one bit does while the other is one. Operands are taken to be drawn apart from each other,
        and bits to change up as often as down, so that of two that change together every second product stays as it was.

        Examples
        --------
        Weights are held, two of whose bits are one: each input bit that changes changes two products.

        >>> Toggles("weight", 0.0, input_changes=3.0, weight_changes=0.0, input_ones=4.0, weight_ones=2.0).product_changes
        6.0
        """
        alone = self.input_changes * self.weight_ones + self.weight_changes * self.input_ones
        return alone - self.input_changes * self.weight_changes / 2
