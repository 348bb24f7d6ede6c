"""Work on a Ray cluster whose machines have this package and see the same folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from momok.errors import MomokError, RunError
from momok.extras import import_extra

T = TypeVar("T")
Work = Callable[[Any], T]


@contextmanager
def connect(address: str, **options: Any) -> Iterator[Any]:
    """The module ``ray``, connected to a cluster while the block runs.

    Where the process is connected already, that connection is used, and left as it is.

    Args:
        address: as ``auto`` or ``ray://HOST:10001``; ``local`` starts a cluster of this machine.
        options: more for ``ray.init``.

    Raises:
        MissingExtraError: Ray is not installed.
        RunError: there is no cluster at the address.
    """
    ray: Any = import_extra("ray", "ray", "--ray")
    if ray.is_initialized():
        yield ray
        return
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # silences a warning
    try:
        ray.init(
            address=address, include_dashboard=False, log_to_driver=False, logging_level="error",
            **options,
        )  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise RunError(f"--ray {address}: no Ray cluster there ({error})") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def map_on_cluster(
    address: str, build: Callable[[], Work[T]], tasks: Sequence[Any], *, gpus: bool = False
) -> Iterator[T]:
    """Do tasks on workers of a cluster, one a free core, and give the results in order.

    Relative paths mean there what they mean here, where the working folder is there too.

    Args:
        address: as for ``connect``.
        build: makes what does a task, once in every worker; both go there as pickles.
        tasks: what each of them is given.
        gpus: one worker a GPU instead, where any is free.

    Raises:
        MomokError: what ``build`` or a task raised, or as ``connect``.
        RunError: a worker has ended, or cannot be started.
    """
    if not tasks:
        return
    with connect(address) as ray:
        free = ray.available_resources()
        on_gpus = gpus and free.get("GPU", 0) >= 1
        count = max(int(free["GPU"] if on_gpus else free.get("CPU", 0)), 1)
        start = ray.remote(num_cpus=1, num_gpus=int(on_gpus))(_Worker).remote
        shared = ray.put(build)
        workers = [start(shared, Path.cwd()) for _ in range(min(count, len(tasks)))]
        pool: Any = import_extra("ray.util", "ray", "--ray").ActorPool(workers)
        try:
            yield from pool.map(lambda worker, task: worker.do.remote(task), tasks)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, MomokError):
                raise error.cause from None
            raise
        except ray.exceptions.RayError as error:
            why = str(error).strip().splitlines()[0]
            raise RunError(
                f"--ray {address}: a worker has ended ({why}); give the command again"
            ) from error
        finally:
            for worker in workers:
                ray.kill(worker)


class _Worker:
    """One process of the cluster."""

    def __init__(self, build: Callable[[], Work[Any]], folder: Path) -> None:
        self._build, self._folder = build, folder
        self._work: Work[Any] | None = None

    def do(self, task: Any) -> Any:
        if self._work is None:  # not earlier: what fails before the first task is not passed on
            if self._folder.is_dir():
                os.chdir(self._folder)
            self._work = self._build()
        return self._work(task)
