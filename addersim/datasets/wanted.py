"""What is wanted of a user's images, and what was found: the terms that all readers of them share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from addersim.datasets.records import Images
from addersim.images import Preprocessing, Shape

__all__ = ["Drawn", "FoundImages", "Part", "Takes", "Wanted", "class_names"]


class Takes(Protocol):
    """What is asked of a network or a program: which images it takes."""

    @property
    def name(self) -> str: ...
    @property
    def input_shape(self) -> Shape: ...
    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def outputs(self) -> int: ...
    @property
    def preprocessing(self) -> Preprocessing: ...


@dataclass(frozen=True, slots=True)
class FoundImages:
    """Images as a network takes them.

    Attributes
    ----------
    images
        Of one split.
    words
        Which they are.
    warnings
        What makes accuracies on them doubtful, a line each.
    """

    images: Images
    words: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Part:
    """The first images, all of them for None."""

    limit: int | None

    def of(self, images: int) -> npt.NDArray[np.intp]:
        """Places of the part among so many images."""
        return np.arange(images)[: self.limit]


@dataclass(frozen=True, slots=True)
class Drawn(Part):
    """Images drawn by chance, always the same: those of a file may lie class after class."""

    def of(self, images: int) -> npt.NDArray[np.intp]:
        """Places of the part among so many images."""
        return np.random.default_rng(0).permutation(images)[: self.limit]

    def __str__(self) -> str:
        return "its images" if self.limit is None else f"up to {self.limit:,} images that seed 0 draws"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader is asked for.

    Attributes
    ----------
    network
        What takes the images.
    part
        Which of them.
    resize
        Whether those of another height and width are resized.
    warned
        Where a reader adds what is doubtful.
    """

    network: Takes
    part: Part
    resize: bool
    warned: list[str]


def class_names(network: Takes) -> tuple[str, ...]:
    """The network's classes, or their numbers where they have no names."""
    return network.classes or tuple(map(str, range(network.outputs)))
