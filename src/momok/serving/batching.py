"""Single questions that arrive together are answered together.

While the model answers in a thread of its own, questions wait; then all of them are grouped, and
the model is asked once per group. Alone, a question does not wait for others. The costs of a
relation are shared by its questions, and rows of one product cost less than products of one row.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from momok.prediction import Predictions, Predictor
from momok.prediction.predictor import Known
from momok.serving.metrics import Metrics

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
    future: asyncio.Future[Predictions] = field(default_factory=asyncio.Future)

    @property
    def group(self) -> tuple[Any, ...]:
        return id(self.predictor), self.k, self.known, self.plausible


class MicroBatcher:
    """Answers questions one by one for its callers, many at once for the model.

    Args:
        answer_seconds: how long a question may take.
        metrics: counts sizes of groups.
    """

    def __init__(self, answer_seconds: float, metrics: Metrics) -> None:
        self._answer_seconds, self._metrics = answer_seconds, metrics
        self._waiting: list[_Waiting] = []
        self._work: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="momok-predict")

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
            TimeoutError: no answer in time.
            MomokError: the model cannot answer.
        """
        item = _Waiting(predictor, question, k, known, plausible)
        self._waiting.append(item)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._answer_waiting())
        return await asyncio.wait_for(item.future, self._answer_seconds)

    def close(self) -> None:
        """Stop; what has begun is finished."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _answer_waiting(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            groups: dict[tuple[Any, ...], list[_Waiting]] = defaultdict(list)
            for item in taken:
                if not item.future.done():  # else nobody waits for it any more
                    groups[item.group].append(item)
            for group in groups.values():
                await self._answer(group)

    async def _answer(self, group: list[_Waiting]) -> None:
        self._metrics.batch_size.observe(len(group))
        first, questions = group[0], [item.question for item in group]

        def predict() -> list[Predictions]:
            return first.predictor.predict_many(
                questions, first.k, known=first.known, plausible=first.plausible
            )

        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._thread, predict)
        except Exception as error:
            for item in group:
                if not item.future.done():
                    item.future.set_exception(error)
            return
        for item, answer in zip(group, answers, strict=True):
            if not item.future.done():
                item.future.set_result(answer)
