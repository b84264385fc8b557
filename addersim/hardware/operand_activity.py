"""What one operand of a layer does: its zeros, its ones, and how often each of its bits changes."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["OperandActivity"]


class OperandActivity(NamedTuple):
    """What one operand does at the elements' registers.

    Attributes
    ----------
    taps, zeros
        Taps, padding included, and those on which it is zero.
    steps
        Words that follow another one in their pass; 0 where it is held.
    toggles
        Changes of each bit, the lowest first, over all steps.
    ones
        Taps on which each bit is one.
    """

    taps: int
    zeros: int
    steps: int
    toggles: tuple[int, ...]
    ones: tuple[int, ...]

    @property
    def zero_share(self) -> float:
        """Of all taps those on which it is zero."""
        return self.zeros / self.taps if self.taps else 0.0

    @property
    def per_step(self) -> tuple[float, ...]:
        """Changes of each bit a step."""
        return tuple(count / self.steps if self.steps else 0.0 for count in self.toggles)

    @property
    def ones_per_tap(self) -> float:
        """Bits that are one, of a word."""
        return sum(self.ones) / self.taps if self.taps else 0.0

    def changes_per_tap(self, pass_taps: float) -> float:
        """Bits that change from tap to tap, all passes together, of as many taps each.

        From one pass to the next a word gives way to one that is taken to be drawn apart from it.
        """
        shares = [count / self.taps if self.taps else 0.0 for count in self.ones]
        between = sum(2 * share * (1 - share) for share in shares)
        return (sum(self.per_step) * (pass_taps - 1) + between) / pass_taps
