"""The model that is served, its threads, and its replacement while requests go on.

A request takes the served model once and keeps it to its end; a newer checkpoint is loaded beside
the old one and takes its place in one step. A checkpoint that cannot be read changes nothing.

While the model answers, single questions wait; then all of them are answered together. Alone, a
question does not wait for others. The costs of a relation are shared by its questions, and rows of
one product cost less than products of one row.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np
import torch
from cachetools import LRUCache
from pydantic import BaseModel

from momok.graph import MultimodalGraph
from momok.prediction import Predictions, Predictor
from momok.prediction.predictor import Known
from momok.prediction.questions import Triple
from momok.serving.contradictions import Contradictions
from momok.serving.entity_map import MapShelf
from momok.serving.entity_search import EntitySearch
from momok.serving.metrics import Metrics
from momok.serving.pictures import PictureShelf
from momok.serving.proposals import Mirrors, ReviewQueue
from momok.serving.retraining import find_served
from momok.serving.settings import ServeSettings
from momok.serving.suggestions import RoleTable
from momok.training import RunFolder

Result = TypeVar("Result")
Among: TypeAlias = str | tuple[str, ...] | None
"""A type of entities, or their labels."""
Options: TypeAlias = tuple[Predictor, int, Known, bool, Among]
"""The model, k, what becomes of known facts, and whether only plausible ones are wanted."""

_log = logging.getLogger("momok.serving")
_ANSWERS_KEPT = 8 << 20  # bytes of answers, as JSON
_MOST = 64  # questions that the model answers at once; bounds how long the next ones wait


class ServedModel:
    """One checkpoint and what is computed from it; all that every request needs is made at once.

    Attributes:
        version: names the checkpoint, in 12 hex digits of its time and size.
        predictor: answers questions.
        graph: the one that the run was trained on.
        calibrated: whether answers have calibrated probabilities.
        names: finds entities and relations.
        pictures: those of the graph that the run was trained on, as far as they are there.
        map: the map of its entities, if one was made.
        roles: which questions are worth asking about an entity.
        mirrors: which facts say the same turned round.
        contradictions: what speaks against new facts.
        queue: new facts for people to look at.
        answers: those that take long, computed once; they end with the model.

    Raises:
        MomokError: the run cannot be loaded.
    """

    def __init__(self, path: Path, stamp: tuple[int, ...]) -> None:
        self.version = format(abs(hash(stamp)) & (1 << 48) - 1, "012x")
        self.predictor = predictor = Predictor(RunFolder(path))
        predictor.predict_many([(0, 0, None)], k=1, known="hide", plausible=True)  # fills caches
        self.graph: MultimodalGraph = predictor.graph
        self.calibrated = predictor.calibration is not None
        self.names = EntitySearch(self.graph)
        self.pictures = PictureShelf.open(predictor)
        self.map = MapShelf(predictor)
        self.roles = RoleTable(self.graph.fact_index)
        self.mirrors = Mirrors(self.graph.fact_index)
        self.contradictions = Contradictions(self.graph)
        self.queue = ReviewQueue(predictor, self.mirrors)
        self.answers: LRUCache[tuple[Any, ...], BaseModel] = LRUCache(
            _ANSWERS_KEPT, getsizeof=lambda answer: len(answer.model_dump_json())
        )

    def list_best_known(self, count: int) -> list[int]:
        """Entities with many facts, those with a picture first."""
        order = np.argsort(-self.graph.fact_index.degrees, kind="stable")[: 50 * count].tolist()
        return sorted(order, key=lambda entity: entity not in self.pictures)[:count]


class MicroBatcher:
    """Answers questions one by one for its callers, many at once for the model."""

    def __init__(self, answer_seconds: float, metrics: Metrics) -> None:
        self._answer_seconds, self._metrics = answer_seconds, metrics
        self._waiting: dict[Options, list[tuple[Triple, asyncio.Future[Predictions]]]] = {}
        self._work: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="momok-predict")

    async def ask(self, question: Triple, options: Options) -> Predictions:
        """Answer one question as ``Predictor.predict_many``.

        Raises:
            TimeoutError: no answer in time.
            MomokError: the model cannot answer.
        """
        future: asyncio.Future[Predictions] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(options, []).append((question, future))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._answer_waiting())
        return await asyncio.wait_for(future, self._answer_seconds)

    def close(self) -> None:
        """Stop; what has begun is finished."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _answer_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            options = next(iter(self._waiting))
            waiting = self._waiting.pop(options)
            if waiting[_MOST:]:  # those of other options come first
                self._waiting[options] = waiting[_MOST:]
            asked = [
                (question, future) for question, future in waiting[:_MOST] if not future.done()
            ]
            self._metrics.batch_size.observe(len(asked))
            predictor, k, known, plausible, among = options
            questions = [question for question, _ in asked]
            predict = partial(predictor.predict_many, known=known, plausible=plausible, among=among)
            answers: Sequence[Predictions | Exception]
            try:
                answers = await loop.run_in_executor(self._thread, predict, questions, k)
            except Exception as error:
                answers = [error] * len(asked)
            for (_, future), answer in zip(asked, answers, strict=True):
                if future.done():  # nobody waits for it any more
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)


class ModelHolder:
    """Loads a run, answers from it in threads, and watches for a newer checkpoint.

    Raises:
        MomokError: the run cannot be loaded.
    """

    def __init__(self, settings: ServeSettings, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        torch.set_num_threads(settings.threads or max((os.cpu_count() or 1) // 2, 1))
        path = find_served(settings.run)
        self._seen = _stamp(path)
        self.current = ServedModel(path, self._seen)
        if not self.current.calibrated:
            _log.warning(
                "not calibrated, so there are no probabilities: momok calibrate %s", settings.run
            )
        metrics.set_model(self.current.version)
        self.batcher = MicroBatcher(settings.answer_seconds, metrics)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="momok-model")
        self.reload_asked = asyncio.Event()

    def close(self) -> None:
        """Stop the threads; what has begun is finished."""
        self.batcher.close()
        self._thread.shutdown(wait=True, cancel_futures=True)
        self.current.queue.close()

    async def compute(self, work: Callable[..., Result], *args: object) -> Result:
        """Run work that needs the model, for explanations and pages, in its thread.

        Raises:
            TimeoutError: no answer in time.
        """
        future = asyncio.get_running_loop().run_in_executor(self._thread, work, *args)
        return await asyncio.wait_for(future, self._settings.answer_seconds)

    # -- newer checkpoints -----------------------------------------------------------------

    async def watch(self, seconds: float) -> None:
        """Look for a newer checkpoint for ever; 0 seconds waits for ``reload_asked`` alone."""
        while True:
            try:
                await asyncio.wait_for(self.reload_asked.wait(), seconds or None)
                self.reload_asked.clear()
            except TimeoutError:
                if _stamp(find_served(self._settings.run)) == self._seen:
                    continue
            await asyncio.to_thread(self.reload)

    def reload(self) -> bool:
        """Load the checkpoint that is there now; False where that fails and the old one stays."""
        path = find_served(self._settings.run)
        self._seen = _stamp(path)  # also where it fails: until it changes again
        try:
            fresh = ServedModel(path, self._seen)
        except Exception as error:  # no memory beside the old one, say: that one goes on
            self._metrics.reload_failures.inc()
            _log.error("the newer checkpoint is not served: %s", error)
            return False
        self.current, before = fresh, self.current
        before.queue.close(wait=False)
        self._metrics.set_model(fresh.version)
        _log.info("serving checkpoint %s", fresh.version)
        gc.unfreeze()
        gc.collect()  # the old model is in cycles, and large
        return True


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes when the checkpoint or its calibration is replaced."""
    stamp: tuple[int, ...] = ()
    for name in ("checkpoints/best.safetensors", "results/calibration.json"):
        try:
            status = (path / name).stat()
        except OSError:
            continue
        stamp += (status.st_mtime_ns, status.st_size, status.st_ino)
    return stamp
