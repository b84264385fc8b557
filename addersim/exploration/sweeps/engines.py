"""Engines: where jobs run. Processes of this machine, or a running cluster, each through joblib."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from addersim.errors import ConfigError, SweepError
from addersim.exploration.sweeps.dask_cluster import dask_client
from addersim.inputs.limits import JOBS
from addersim.inputs.text import did_you_mean
from addersim.processes.stopping import end_with, left_out_of_ctrl_c
from addersim.processes.unfinished import scratch_folder

__all__ = ["Engine", "EngineName", "check_engine", "open_engine"]

EngineName = Literal["local", "dask", "ray"]
_MODULES = {"dask": "distributed", "ray": "ray"}
_SHARED_BYTES = 100_000
"""Arrays from this size on are laid into a file that all local workers map, instead of being sent with each job."""


@dataclass(frozen=True, slots=True)
class Engine:
    """Runs jobs, in any order, and gives what they return as it comes.

    Attributes
    ----------
    jobs
        Local processes; None: all processors, or all of a cluster.
    backend
        Options of joblib's `parallel_config`.
    streams
        Whether results come one by one; else round by round.
    share
        What makes of a value a stand-in that is sent to each worker once, not with each job.
    """

    jobs: int | None
    backend: dict[str, Any] = field(default_factory=dict)
    streams: bool = True
    share: Callable[[Any], Any] | None = None

    def run(self, job: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], shared: Sequence[Any] = ()) -> Iterator[Any]:
        """Results of a job for each tuple of arguments, in the order in which they are done.

        Parameters
        ----------
        job
            A function of this package.
        arguments
            Taken one by one, as workers become free.
        shared
            Values that many of the tuples hold.
        """
        from joblib import Parallel, delayed, effective_n_jobs, parallel_config

        number = -1 if self.jobs is None else self.jobs
        how: dict[str, Any] = {"n_jobs": number, "batch_size": 1, "max_nbytes": _SHARED_BYTES}
        with parallel_config(**self.backend):
            parallel = Parallel(**how, return_as="generator_unordered" if self.streams else "list")
            workers = effective_n_jobs(number)
        # where there is one worker, joblib calls the job here
        stand_ins = {id(value): self.share(value) for value in shared} if self.share and workers > 1 else {}
        calls = (delayed(job)(*(stand_ins.get(id(value), value) for value in one)) for one in arguments)
        try:
            if self.streams:
                with left_out_of_ctrl_c():
                    results = parallel(calls)  # starts the workers
                yield from _quietly_closed(results)
            else:
                while chunk := list(itertools.islice(calls, 4 * workers)):
                    yield from parallel(chunk)
        except BrokenExecutor:
            raise SweepError(
                "a worker was killed, perhaps for want of memory; finished points are kept: run the same command again,"
                " with fewer --jobs where memory is short"
            ) from None


@contextmanager
def open_engine(
    name: str, jobs: int | None = None, address: str | None = None, most: int | None = None, folder: Path = Path()
) -> Iterator[Engine]:
    """An engine by name.

    Parameters
    ----------
    name
        ``local``, ``dask`` or ``ray``.
    jobs
        Processes, ``local`` only.
    address
        Where the cluster's scheduler listens, such as ``tcp://host:8786``; needed for ``dask``, and ``local`` has none.
    most
        Number of jobs there are: no more local processes are started.
    folder
        Where local processes share arrays, in a folder that is removed afterwards.

    Raises
    ------
    ConfigError
        For options that contradict each other, and libraries that are not installed.
    SweepError
        For a cluster that does not answer.
    """
    check_engine(name, jobs, address)
    if name == "local":
        from joblib import cpu_count

        number = jobs or cpu_count()
        with _local_processes(min(number, most or number), folder) as engine:
            yield engine
    elif name == "dask":
        with dask_client(str(address)) as client:
            # a task's result, unlike scattered data, is made again where the worker that held it dies
            yield Engine(None, {"backend": "dask", "client": client}, share=partial(client.submit, _same, pure=False))
    else:
        with _ray(address):
            yield Engine(None, {"backend": "ray"}, streams=False)


def check_engine(name: str, jobs: int | None, address: str | None) -> None:
    """Refuse what `open_engine` would refuse, without opening anything."""
    if name not in get_args(EngineName):
        raise ConfigError(
            f"engine: {name!r} is not one of {', '.join(get_args(EngineName))}{did_you_mean(str(name), get_args(EngineName))}"
        )
    missing = [module for module in ("joblib", _MODULES.get(name, "joblib")) if find_spec(module) is None]
    if missing:
        extra = f"addersim[{name}]" if name in _MODULES else "joblib"
        raise ConfigError(f"engine {name} needs {missing[-1]}; install it with: pip install '{extra}'")
    if name == "local" and address is not None:
        raise ConfigError("address: the engine local has none; name the cluster's engine, dask or ray")
    if name != "local" and jobs is not None:
        raise ConfigError(f"jobs: the engine {name} takes all workers of its cluster; --jobs is for the engine local")
    if name == "dask" and address is None:
        raise ConfigError("engine dask: name the address of its scheduler, such as tcp://host:8786 (--address)")
    if jobs is not None:
        JOBS.check(jobs, "jobs")


@contextmanager
def _local_processes(number: int, folder: Path) -> Iterator[Engine]:
    """Processes that end with the block, or with this process where that is killed; none beside it for a single one."""
    from joblib.externals.loky import get_reusable_executor

    how: dict[str, Any] = {"backend": "loky", "inner_max_num_threads": 1}
    if number == 1:
        yield Engine(1, how)
        return
    how |= {"initializer": end_with, "initargs": (os.getpid(),)}
    with scratch_folder(folder, "shared") as shared:
        try:
            yield Engine(number, how | {"temp_folder": str(shared)})
        finally:
            get_reusable_executor(reuse=True).shutdown(wait=True, kill_workers=True)


def _quietly_closed(results: Any) -> Iterator[Any]:
    """Results one by one; a sweep that is interrupted ends without joblib's advice on unfinished tasks."""
    try:
        for result in results:  # noqa: UP028  # a plain yield from would close them before the warning is turned off
            yield result
    finally:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*still being processed by the workers")
            results.close()


def _same(value: Any) -> Any:
    return value


@contextmanager
def _ray(address: str | None) -> Iterator[None]:
    import ray
    from ray.util.joblib import register_ray

    try:
        ray.init(address=address, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise SweepError(f"engine ray: no cluster answers at {address} ({_line(error)})") from None
    try:
        register_ray()
        yield
    finally:
        ray.shutdown()


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
