"""Batches of images as normalised channels-last tensors, shuffled, cropped and mirrored in one gather."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from addersim.datasets.records import Dataset, Images

__all__ = ["Batches", "crop_and_mirror", "randomness"]

PADDING = 4


class Batches:
    """A set of images in batches, on one device.

    Parameters
    ----------
    images
        What to draw from.
    dataset
        Record with the set's mean and standard deviation.
    batch
        Images in a batch; the last one may be smaller.
    augment
        Whether `epoch` pads by 4 black pixels, crops at random and mirrors every other image at random.
    device
        Where the tensors live.
    part
        ``(rank, size)``: of every batch, take each image whose place leaves `rank` when divided by `size`.
    """

    def __init__(
        self,
        images: Images,
        dataset: Dataset,
        batch: int,
        *,
        augment: bool = False,
        device: torch.device | str = "cpu",
        part: tuple[int, int] = (0, 1),
    ):
        self.pixels = torch.from_numpy(np.array(images.pixels)).to(device)
        self.labels = torch.from_numpy(images.needed_labels("training")).to(device)
        self.mean = torch.tensor(dataset.mean, device=device)[:, None, None] * 255
        self.std = torch.tensor(dataset.std, device=device)[:, None, None] * 255
        self.batch, self.augment = batch, augment
        self.mine = slice(part[0], None, part[1])

    def __len__(self) -> int:
        return (len(self.labels) + self.batch - 1) // self.batch

    def count(self, number: int) -> int:
        """Images in batch `number` of an epoch, all parts together."""
        return min(self.batch, len(self.labels) - number * self.batch)

    def in_order(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All images in their order, as they are: (pixels, labels)."""
        for pixels, labels in zip(torch.split(self.pixels, self.batch), torch.split(self.labels, self.batch), strict=True):
            yield self._normalised(pixels[self.mine]), labels[self.mine]

    def epoch(self, seed: int, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """All images once, in an order and with an augmentation that follow from the seed and the epoch's number alone."""
        random = randomness(seed, number)
        order = torch.randperm(len(self.labels), generator=random).to(self.labels.device)
        for chosen in torch.split(order, self.batch):
            pixels = self.pixels[chosen]
            if self.augment:
                pixels = crop_and_mirror(pixels, random)
            yield self._normalised(pixels[self.mine]), self.labels[chosen[self.mine]]

    def _normalised(self, pixels: Tensor) -> Tensor:
        return ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


def randomness(seed: int, epoch: int) -> torch.Generator:
    """Of one epoch, by its number alone, so that a run that goes on draws what it would have drawn."""
    return torch.Generator().manual_seed(seed * 1_000_003 + epoch)


def crop_and_mirror(pixels: Tensor, random: torch.Generator) -> Tensor:
    """Random crops of the padded images, half of them mirrored; the crop's rows and columns are chosen by index."""
    count, _, height, width = pixels.shape
    device = pixels.device
    shifts = torch.randint(0, 2 * PADDING + 1, (2, count, 1), generator=random).to(device)
    mirrored = torch.randint(0, 2, (count, 1), generator=random, dtype=torch.bool).to(device)
    across = torch.arange(width, device=device)
    rows = shifts[0] + torch.arange(height, device=device)
    columns = shifts[1] + torch.where(mirrored, across.flip(0), across)
    padded = torch.nn.functional.pad(pixels, (PADDING,) * 4)
    index = torch.arange(count, device=device)[:, None, None], slice(None), rows[:, :, None], columns[:, None, :]
    return padded[index].permute(0, 3, 1, 2)  # indices apart from each other put the channels last
