"""A running Dask cluster, and what becomes of a sweep on it where scheduler or workers are missing or get lost."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from addersim.errors import SweepError

__all__ = ["dask_client"]

_WITHIN_S = 10
"""How long a cluster may be without workers: one that was started just before, or that loses them and gets others."""
_AGAIN = "finished points are kept: run the same command again"


@contextmanager
def dask_client(address: str) -> Iterator[Any]:
    """A client of the scheduler at an address. Raises SweepError where there is none, or no workers, now or later."""
    import dask
    import distributed
    from distributed.comm.core import CommClosedError

    try:
        client: Any = distributed.Client(address, timeout="5s", set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        what = f"no scheduler answers at {address} ({reason})"
        raise SweepError(f"engine dask: {what}; start one with: dask scheduler") from None
    lost = (
        asyncio.CancelledError,
        concurrent.futures.CancelledError,
        distributed.KilledWorker,
        CommClosedError,
    )
    missing = threading.Event()
    with _quiet(), client, dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"}):  # images are large
        try:
            if _has_workers(client):
                with _watched(client, missing):
                    yield client
            else:
                missing.set()
        except lost:
            if not missing.is_set():
                what = f"the scheduler at {address}, or a worker that held a job"
                raise SweepError(f"engine dask: {what}, was lost; {_AGAIN}") from None
    if missing.is_set():
        reason = f"the scheduler at {address} has had no workers for {_WITHIN_S} s"
        raise SweepError(f"engine dask: {reason}; start some with: dask worker {address}; {_AGAIN}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave it to us to tell what went wrong: Dask's client logs a traceback for each try to connect again."""
    loggers = [logging.getLogger(f"distributed.{name}") for name in ("client", "core", "utils", "utils_comm")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)


def _has_workers(client: Any) -> bool:
    """Whether there is a worker, or comes one within a while."""
    try:
        client.wait_for_workers(1, timeout=_WITHIN_S)
    except TimeoutError:
        return False
    return True


@contextmanager
def _watched(client: Any, missing: threading.Event) -> Iterator[None]:
    """Give up a cluster that has had no workers for a while: its jobs are cancelled, or the sweep would wait for ever."""
    done = threading.Event()

    def watch() -> None:
        seen = time.monotonic()
        while not done.wait(1) and client.status == "running":
            with suppress(Exception):  # it may be closed in the midst of the question
                if client.scheduler_info(n_workers=1)["workers"]:
                    seen = time.monotonic()
                elif time.monotonic() - seen > _WITHIN_S:
                    missing.set()
                    client.close(timeout=1)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=2)
