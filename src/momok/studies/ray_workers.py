"""Tasks on a Ray cluster whose machines share the study's folder and the graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from momok.cluster import connect
from momok.extras import import_extra
from momok.studies.worker import Message, Task, run_task


class RayPool:
    """Tasks of a Ray cluster, as many as it has cores for.

    Args:
        address: of the cluster, as ``auto`` or ``ray://HOST:10001``; ``local`` starts one here.
        jobs: at most so many at a time; 0 is no limit of ours.

    Raises:
        MissingExtraError: Ray is not installed.
        RunError: there is no cluster at the address.
    """

    def __init__(self, address: str, jobs: int = 0) -> None:
        self._connection = ExitStack()
        self._ray = self._connection.enter_context(connect(address))
        queues: Any = import_extra("ray.util.queue", "ray", "--ray")
        self.threads = 1
        self._cores = int(self._ray.cluster_resources().get("CPU", 1))
        self._jobs = jobs or self._cores
        self._messages: Any = queues.Queue(actor_options={"num_cpus": 0})
        self._empty: type[Exception] = queues.Empty
        self._running: dict[str, tuple[Task, Any]] = {}

    def has_room(self) -> bool:
        return len(self._running) < min(self._jobs, self._cores)

    def start(self, task: Task) -> None:
        work = self._ray.remote(num_cpus=task.threads, max_retries=0)(_work)
        self._running[task.cell.name] = task, work.remote(_make_absolute(task), self._messages)

    def receive(self) -> Iterator[tuple[Task, Message]]:
        references = [reference for _, reference in self._running.values()]
        ended, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        said = []  # asked for after that, so that what an ended one has said is among it
        with suppress(self._empty):
            said.append(self._messages.get(timeout=1.0))
        said += self._messages.get_nowait_batch(self._messages.qsize())
        for name, message in said:
            if name in self._running:
                yield self._take(name, message)
        for name, (_, reference) in list(self._running.items()):
            if reference in ended:  # and said nothing of it
                yield self._take(name, ("failed", _describe_end(self._ray, reference), ""))

    def _take(self, name: str, message: Message) -> tuple[Task, Message]:
        task, _ = self._running[name]
        if message[0] in ("done", "failed"):
            del self._running[name]
        return task, message

    def stop(self, task: Task) -> None:
        self._ray.cancel(self._running[task.cell.name][1])

    def close(self) -> None:
        for task, reference in self._running.values():
            self.stop(task)
            self._ray.wait([reference], timeout=60)
        self._connection.close()


def _work(task: Task, messages: Any) -> None:
    """What a worker does; what it says goes through the queue."""
    run_task(task, lambda message: messages.put((task.cell.name, message)))


def _make_absolute(task: Task) -> Task:
    """Workers have another working folder."""
    graph = str(Path(task.graph).absolute()) if Path(task.graph).exists() else task.graph
    return replace(task, folder=task.folder.absolute(), graph=graph)


def _describe_end(ray: Any, reference: Any) -> str:
    try:
        ray.get(reference)
    except Exception as error:
        return f"its worker was ended: {str(error).splitlines()[0]}"
    return "its worker ended without a word"
