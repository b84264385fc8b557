"""Batches of images, several of them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TypeVar

from addersim.inputs.limits import BATCH
from addersim.kernels.checks import check_threads
from addersim.kernels.core import kernel_info

__all__ = ["in_batches", "threads_of_call"]

T = TypeVar("T")

LEAST = 16
"""Images from which what is done once a batch weighs little."""


def threads_of_call(images: int, threads: int | None) -> int:
    """Threads that the kernels of one call of `in_batches` may use: one where threads take whole batches.

    Examples
    --------
    >>> threads_of_call(100, 2), threads_of_call(20, 2)
    (1, 2)
    """
    workers = check_threads(threads) or kernel_info().threads
    return workers if images < LEAST * workers else 1


def in_batches(
    call: Callable[[slice, int], T], images: int, batch: int, threads: int | None = None
) -> Iterator[tuple[int, T]]:
    """What `call` gives for one batch after the other, in their order, and how many images are done by then.

    Threads take whole batches: they wait for each other once a run and not once a layer, and each has its images in its own
    cache. Where that would leave a thread fewer than `LEAST` images, the kernels' own threads share each batch.

    Parameters
    ----------
    call
        A function of the images it is to take and of the threads that its kernels may use. Runs in several threads at a time.
    images
        Number of images.
    batch
        Most images of a call, each of which runs in one thread.
    threads
        How many; None takes what OpenMP would.

    Examples
    --------
    >>> list(in_batches(lambda part, threads: (part.start, part.stop, threads), 100, batch=50, threads=2))
    [(50, (0, 50, 1)), (100, (50, 100, 1))]
    >>> list(in_batches(lambda part, threads: (part.start, part.stop, threads), 20, batch=15, threads=2))
    [(10, (0, 10, 2)), (20, (10, 20, 2))]
    """
    BATCH.check(batch, "batch")
    workers = check_threads(threads) or kernel_info().threads
    if workers == 1 or threads_of_call(images, workers) > 1:
        for part in _parts(images, batch, 1):
            yield part.stop, call(part, workers)
        return
    with ThreadPoolExecutor(workers) as pool:
        found = [(part.stop, pool.submit(call, part, 1)) for part in _parts(images, batch, workers)]
        try:
            for done, result in found:
                yield done, result.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _parts(images: int, most: int, unit: int) -> list[slice]:
    """Parts of about equal size, their number a multiple of `unit` where there are at least `unit` images."""
    count = min(images, -(-images // (most * unit)) * unit)
    ends = [images * number // count for number in range(count + 1)]
    return [slice(start, end) for start, end in pairwise(ends)]
