"""A value on its way through a front end: the layer that gives it, and rearrangements that no layer has made yet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from addersim.errors import LoweringError
from addersim.layers import Shape
from addersim.layers.move import ZERO, Permute, Reshape, Step, Take, moved_shape, rearrange, simplified

__all__ = ["Flow"]


@dataclass(frozen=True, slots=True)
class Flow:
    """A value that depends on the images.

    Rearrangements wait as `steps`, so that those which undo each other leave no layer behind, and arithmetic that treats every
    value (or every channel) alike can be done before them.

    Attributes
    ----------
    layer
        Name of the layer that gives the values.
    given
        That layer's shape, without images.
    steps
        What turns it into this value.
    shape
        Of this value.
    """

    layer: str
    given: Shape
    steps: tuple[Step, ...] = ()

    @property
    def shape(self) -> Shape:
        """Shape of the value, without images."""
        return moved_shape(self.steps, self.given)

    @property
    def rank(self) -> int:
        """Number of axes without images."""
        return len(self.shape)

    def then(self, *steps: Step) -> Flow:
        """This value after further steps."""
        return Flow(self.layer, self.given, simplified((*self.steps, *steps), self.given))

    def reshape(self, sizes: Shape) -> Flow:
        """The same values in another shape."""
        return self.then(Reshape(tuple(int(size) for size in sizes)))

    def permute(self, axes: tuple[int, ...]) -> Flow:
        """Axes in another order."""
        return self.then(Permute(tuple(axes)))

    def take(self, axis: int, indices: np.ndarray) -> Flow:
        """Positions along an axis; -1 gives zeros."""
        if not len(indices):
            raise LoweringError(f"takes no position along axis {axis + 1}; values without elements are not supported")
        return self.then(Take(axis, np.asarray(indices, np.int64)))

    def expand(self, shape: Shape) -> Flow:
        """Axes of size 1 repeated to a shape of the same number of axes."""
        found = self
        for axis, (have, want) in enumerate(zip(self.shape, shape, strict=True)):
            if have != want:
                if have != 1:
                    raise LoweringError(f"cannot expand {self.shape} to {shape}")
                found = found.take(axis, np.zeros(want, np.int64))
        return found

    def image(self) -> Flow:
        """A signal, ``(channels, length)``, as an image of one row; any other value as it is."""
        return self.reshape((self.shape[0], 1, self.shape[1])) if self.rank == 2 else self

    def like(self, source: Flow) -> Flow:
        """What a layer gives for `image` of a value, with as many axes as the value has: undoes it."""
        return self.reshape((self.shape[0], self.shape[2])) if source.rank == 2 else self

    def across(self, axes: Sequence[int]) -> Flow:
        """An image of one row whose pixels are the places along some axes, and whose channels those along all others."""
        kept = [one for one in range(self.rank) if one not in axes]
        sizes = [math.prod(self.shape[one] for one in some) for some in (kept, axes)]
        return self.permute((*kept, *sorted(axes))).reshape((sizes[0], 1, sizes[1]))

    def left(self, axes: Sequence[int], keep: bool) -> Shape:
        """Shape that is left where values along some axes become one, whose axes stay, with size 1, or go."""
        return tuple(1 if one in axes else size for one, size in enumerate(self.shape) if keep or one not in axes)

    def front(self, axis: int) -> Flow:
        """The value with an axis moved to the front, where channels are."""
        return self.permute((axis, *(one for one in range(self.rank) if one != axis)))

    def back(self, axis: int) -> Flow:
        """The value with its first axis moved to a place: undoes `front`."""
        rest = list(range(1, self.rank))
        return self.permute((*rest[:axis], 0, *rest[axis:]))

    def fills(self) -> bool:
        """Whether zeros that no layer computed are among the values."""
        return any(isinstance(step, Take) and bool((step.indices == ZERO).any()) for step in self.steps)

    def keeps_channels(self) -> bool:
        """Whether the first axis is the layer's, each channel in its place: what is done a channel may then be done before."""
        shape, channels = self.shape, self.given[0]
        if shape[0] != channels or self.fills():
            return False
        own = np.arange(channels).reshape(channels, *[1] * (len(self.given) - 1))
        found = rearrange(self.steps, np.broadcast_to(own, (1, *self.given)))[0]
        return bool((found == own.reshape(channels, *[1] * (len(shape) - 1))).all())

    def renames(self) -> bool:
        """Whether the steps move nothing: the same values in the same order, in another shape."""
        places = np.arange(1, int(np.prod(self.given)) + 1)  # 0 is what a zero that was put in gives
        found = rearrange(self.steps, places.reshape(1, *self.given))
        return bool(np.array_equal(found.ravel(), places))
