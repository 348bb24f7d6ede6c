"""Single questions that arrive together are answered together.

One thread takes all that waits, groups it, and asks the model once per group. Under load, groups
form while the model works; alone, a question does not wait for others. The costs of a relation are
shared by its questions, and rows of one product cost less than products of one row.
"""

from __future__ import annotations

import asyncio
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeAlias

from momok.prediction import Predictions, Predictor
from momok.serving.metrics import Metrics
from momok.serving.settings import Limits

__all__ = ["MicroBatcher", "Question"]

Question: TypeAlias = tuple[int | None, int, int | None]
"""Ids of (head, relation, None) or (None, relation, tail)."""

_MOST = 64  # questions that the model answers at once; bounds how long the next ones wait


@dataclass(frozen=True)
class _Waiting:
    predictor: Predictor
    question: Question
    k: int
    hide: bool
    plausible: bool
    future: Future[Predictions] = field(default_factory=Future)

    @property
    def group(self) -> tuple[int, int, bool, bool]:
        return id(self.predictor), self.k, self.hide, self.plausible


class MicroBatcher:
    """Answers questions one by one for its callers, many at once for the model.

    Args:
        predictor: gives the model that is served now.
        limits: how much may wait, and how long.
        metrics: counts sizes of groups.
    """

    def __init__(
        self, predictor: Callable[[], Predictor], limits: Limits, metrics: Metrics
    ) -> None:
        self._predictor, self._limits, self._metrics = predictor, limits, metrics
        self._waiting: deque[_Waiting] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="momok-predict", daemon=True)
        self._thread.start()

    async def ask(
        self,
        question: Question,
        k: int,
        *,
        hide: bool,
        plausible: bool = False,
        predictor: Predictor | None = None,
    ) -> Predictions:
        """Answer one question.

        Args:
            question: by ids.
            k: how many answers.
            hide: leave out what the graph has already.
            plausible: leave out what no such question has as an answer in train.
            predictor: the model to ask; else the one that is served now.

        Raises:
            TimeoutError: too much waits already, or no answer in time.
            MomokError: the model cannot answer.
        """
        item = _Waiting(predictor or self._predictor(), question, k, hide, plausible)
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
            groups: dict[tuple[int, int, bool, bool], list[_Waiting]] = defaultdict(list)
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
                known="hide" if first.hide else "mark",
                plausible=first.plausible,
            )
        except BaseException as error:
            for item in group:
                item.future.set_exception(error)
            return
        for item, answer in zip(group, answers, strict=True):
            item.future.set_result(answer)
