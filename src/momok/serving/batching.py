"""Single questions that arrive together are answered together.

While the model answers in a thread of its own, questions wait; then all of them are grouped, and
the model is asked once per group. Alone, a question does not wait for others. The costs of a
relation are shared by its questions, and rows of one product cost less than products of one row.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TypeAlias

from momok.prediction import Predictions, Predictor
from momok.prediction.predictor import Known
from momok.serving.metrics import Metrics

Question: TypeAlias = tuple[int | None, int, int | None]
"""Ids of (head, relation, None) or (None, relation, tail)."""

Options: TypeAlias = tuple[Predictor, int, Known, bool]
"""The model, k, what becomes of known facts, and whether only plausible ones are wanted."""

Asked: TypeAlias = tuple[Question, asyncio.Future[Predictions]]

_MOST = 64  # questions that the model answers at once; bounds how long the next ones wait


class MicroBatcher:
    """Answers questions one by one for its callers, many at once for the model.

    Args:
        answer_seconds: how long a question may take.
        metrics: counts sizes of groups.
    """

    def __init__(self, answer_seconds: float, metrics: Metrics) -> None:
        self._answer_seconds, self._metrics = answer_seconds, metrics
        self._waiting: dict[Options, list[Asked]] = {}
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
        future: asyncio.Future[Predictions] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault((predictor, k, known, plausible), []).append((question, future))
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._answer_waiting())
        return await asyncio.wait_for(future, self._answer_seconds)

    def close(self) -> None:
        """Stop; what has begun is finished."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _answer_waiting(self) -> None:
        while self._waiting:
            options = next(iter(self._waiting))
            asked = self._waiting.pop(options)
            for start in range(0, len(asked), _MOST):
                await self._answer(options, asked[start : start + _MOST])

    async def _answer(self, options: Options, asked: list[Asked]) -> None:
        asked = [(question, future) for question, future in asked if not future.done()]
        self._metrics.batch_size.observe(len(asked))
        predictor, k, known, plausible = options
        questions = [question for question, _ in asked]

        def predict() -> list[Predictions]:
            return predictor.predict_many(questions, k, known=known, plausible=plausible)

        answers: list[Predictions] = []
        failure: Exception | None = None
        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._thread, predict)
        except Exception as error:
            failure = error
        for number, (_, future) in enumerate(asked):
            if future.done():  # nobody waits for it any more
                continue
            if failure is not None:
                future.set_exception(failure)
            else:
                future.set_result(answers[number])
