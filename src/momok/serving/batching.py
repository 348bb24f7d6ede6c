"""Single questions that arrive together are answered together.

One thread takes all that waits, groups it, and asks the model once per group. Under load, groups
form while the model works; alone, a question does not wait for others. The costs of a relation are
shared by its questions, and rows of one product cost less than products of one row.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict, deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from momok.prediction import Predictions, Predictor
from momok.prediction.predictor import Known
from momok.serving.metrics import Metrics
from momok.serving.settings import Limits

Question: TypeAlias = tuple[int | None, int, int | None]
"""Ids of (head, relation, None) or (None, relation, tail)."""

_MOST = 64  # questions that the model answers at once; bounds how long the next ones wait


@dataclass(frozen=True)
class _Waiting:
    predictor: Predictor
    question: Question
    k: int
    known: Known
    plausible: bool
    future: Future[Predictions] = field(default_factory=Future)

    @property
    def group(self) -> tuple[Any, ...]:
        return id(self.predictor), self.k, self.known, self.plausible


class MicroBatcher:
    """Answers questions one by one for its callers, many at once for the model.

    Args:
        limits: how much may wait, and how long.
        metrics: counts sizes of groups.
    """

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits, self._metrics = limits, metrics
        self._waiting: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="momok-predict", daemon=True)
        self._thread.start()

    async def ask(
        self,
        predictor: Predictor,
        question: Question,
        k: int,
        *,
        known: Known,
        plausible: bool = False,
    ) -> Predictions:
        """Answer one question.

        Args:
            predictor: the model to ask.
            question: by ids.
            k: how many answers.
            known: mark what the graph has already, or hide it.
            plausible: leave out what no such question has as an answer in train.

        Raises:
            TimeoutError: too much waits already, or no answer in time.
            MomokError: the model cannot answer.
        """
        item = _Waiting(predictor, question, k, known, plausible)
        with self._wake:
            if self._closed or len(self._waiting) >= self._limits.waiting:
                raise TimeoutError
            self._waiting.append(item)
            self._wake.notify()
        return await asyncio.wait_for(asyncio.wrap_future(item.future), self._limits.answer_seconds)

    def close(self) -> None:
        """Answer what waits, then stop."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                taken = [self._waiting.popleft() for _ in range(min(_MOST, len(self._waiting)))]
            groups: dict[tuple[Any, ...], list[_Waiting]] = defaultdict(list)
            for item in taken:
                if item.future.set_running_or_notify_cancel():  # nobody waits for it any more
                    groups[item.group].append(item)
            for group in groups.values():
                self._answer(group)

    def _answer(self, group: list[_Waiting]) -> None:
        self._metrics.batch_size.observe(len(group))
        first = group[0]
        try:
            answers = first.predictor.predict_many(
                [item.question for item in group],
                first.k,
                known=first.known,
                plausible=first.plausible,
            )
        except BaseException as error:
            for item in group:
                item.future.set_exception(error)
            return
        for item, answer in zip(group, answers, strict=True):
            item.future.set_result(answer)
