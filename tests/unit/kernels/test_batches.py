"""Batches: every image once and in order, whole batches for threads, errors and interruptions end a run."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addersim.errors import ConfigError
from addersim.kernels.batches import in_batches


@given(images=st.integers(1, 500), batch=st.integers(1, 200), threads=st.integers(1, 5))
def test_every_image_is_in_one_batch_and_in_order(images, batch, threads):
    found = list(in_batches(lambda part, _: list(range(images))[part], images, batch, threads))
    assert [image for _, part in found for image in part] == list(range(images))
    assert [done for done, _ in found] == [part[-1] + 1 for _, part in found]
    sizes = {len(part) for _, part in found}
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("images", "batch", "threads", "batches", "kernel_threads"),
    [
        (200, 100, 2, 2, 1),
        (200, 100, 1, 2, 1),
        (300, 100, 2, 4, 1),
        (31, 100, 2, 1, 2),
        (64, 20, 4, 4, 1),
        (1000, 100, 3, 12, 1),
    ],
)
def test_threads_share_the_images(images, batch, threads, batches, kernel_threads):
    found = [part for _, part in in_batches(lambda _, threads: threads, images, batch, threads)]
    assert found == [kernel_threads] * batches


def test_batches_run_at_the_same_time():
    both = threading.Barrier(2, timeout=30)
    assert len(list(in_batches(lambda *_: both.wait(), 64, 16, 2))) == 4


def test_an_error_ends_the_run():
    done = []

    def call(part, _):
        done.append(part)
        time.sleep(0.01)
        raise RuntimeError(f"image {part.start}")

    with pytest.raises(RuntimeError, match="image 0"):
        list(in_batches(call, 10_000, 16, 2))
    assert len(done) < 100


def test_threads_are_checked():
    with pytest.raises(ConfigError, match="threads: found 0, needs a whole number"):
        next(in_batches(lambda *_: None, 5, 5, 0))


def test_a_batch_has_images():
    with pytest.raises(ConfigError, match="batch: found 0, needs a whole number in 1..1,000,000"):
        next(in_batches(lambda *_: None, 5, 0))
