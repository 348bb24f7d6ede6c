"""Answers to many questions, and scores of many facts, as one table.

Shapes: F facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import polars as pl

from momok.cluster import map_on_cluster
from momok.errors import ConfigError, DataError
from momok.graph import SPLIT_NAMES
from momok.graph.candidates import Among, Name
from momok.graph.fact_index import UNKNOWN
from momok.prediction.calibration_record import FACT
from momok.prediction.predictor import Known, Predictor
from momok.prediction.questions import resolve_facts
from momok.progress import Progress, no_progress

Row: TypeAlias = tuple[Name | None, Name | None, Name | None]
"""Head, relation and tail; None where it is asked for."""

_Task: TypeAlias = tuple[int, Sequence[Row]]  # a block of rows, and how many stand before it

_BLOCK = 4096  # rows at a time

_ANSWERS = pl.Schema(
    {
        "row": pl.Int64(),
        **dict.fromkeys(("asked", "head", "relation", "tail"), pl.String()),
        "rank": pl.Int64(),
        "name": pl.String(),
        "score": pl.Float64(),
        "probability": pl.Float64(),
        "known": pl.String(),
    }
)
_SCORES = pl.Schema(
    {
        "row": pl.Int64(),
        **dict.fromkeys(("head", "relation", "tail", "known"), pl.String()),
        **dict.fromkeys(("score", "tail_answer", "head_answer", "probability"), pl.Float64()),
    }
)


def answer_rows(
    predictor: Predictor,
    rows: Sequence[Row],
    k: int = 10,
    *,
    known: Known = "mark",
    plausible: bool = False,
    among: Among | None = None,
    places: Sequence[str] = (),
    ray: str = "",
    progress: Progress = no_progress,
) -> pl.DataFrame:
    """Answer rows with one part missing, or score rows with none missing.

    Args:
        predictor: of the run.
        rows: each (head, relation, tail) by label, name or id; None for the one that is asked, or
            no None at all, the same in all rows.
        k, known, plausible, among: as for ``Predictor.predict``; for questions alone.
        places: what messages call the rows, by default ``row 1`` and so on.
        ray: the address of a Ray cluster whose machines see the run folder: ``auto``,
            ``ray://HOST:PORT`` or ``local``.
        progress: is told of the rows.

    Returns:
        For questions, ``k`` rows each: ``row`` (from 1), ``asked`` (head, relation or tail),
        ``head``, ``relation``, ``tail`` (labels, with the answer filled in), ``rank``, ``name`` (of
        the answer), ``score``, ``probability`` and ``known`` (as ``Predictions.to_frame``; a
        relation has no probability). For facts one row each: ``row``, ``head``, ``relation``,
        ``tail``, ``known`` (the split that has it, or null), ``score`` (the lower of the model's
        two answers), ``tail_answer``, ``head_answer``, and ``probability``, calibrated as that of
        a new fact (``momok predict-missing``).

    Raises:
        MomokError: a row is neither a question nor a fact, or as ``Predictor.predict``; it says
            which row, and nothing is computed.
        ConfigError: there are questions as well as facts.
    """
    places = places or [f"row {number}" for number in range(1, len(rows) + 1)]
    asked = _check_rows(rows, places)
    if (plausible or among is not None) and any(row[1] is None for row in rows):
        raise ConfigError(
            "plausible and among are of entities, and there are rows that ask for a relation; "
            "leave them out"
        )
    _check_names(predictor, rows, places)
    what = "answering questions" if asked else "scoring facts"
    tasks = [(start, rows[start : start + _BLOCK]) for start in range(0, len(rows), _BLOCK)]
    options: dict[str, Any] = {"known": known, "plausible": plausible, "among": among}
    work = partial(_answer_block, k, options)
    found: Iterator[pl.DataFrame] = map(partial(work, predictor), tasks)
    if ray:
        open_run = partial(
            Predictor,
            predictor.run.path.absolute(),
            memory_budget=predictor.scorer.memory_budget,
            calibrated=predictor.calibration is not None,
        )
        load = partial(_load_work, work, open_run)
        found = map_on_cluster(ray, load, tasks, gpus=True)
    blocks = []
    for block, (start, some) in zip(found, tasks, strict=True):
        blocks.append(block)
        progress(what, start + len(some), len(rows))
    return pl.concat(blocks) if blocks else _ANSWERS.to_frame()


def _load_work(
    work: Callable[[Predictor, _Task], pl.DataFrame], open_run: Callable[[], Predictor]
) -> Callable[[_Task], pl.DataFrame]:
    """What does a block, in a process of its own: it loads the run there."""
    return partial(work, open_run())


def _answer_block(
    k: int, options: dict[str, Any], predictor: Predictor, task: _Task
) -> pl.DataFrame:
    start, rows = task
    if None not in rows[0]:
        return _score(predictor, rows, start)
    found = _answer(predictor, rows, start, k, options)
    return pl.DataFrame(found, schema=_ANSWERS, orient="row")


def _check_rows(rows: Sequence[Row], places: Sequence[str]) -> bool:
    """Whether all rows are questions; ConfigError where they are neither those nor all facts."""
    for place, row in zip(places, rows, strict=True):
        if len(row) != 3:
            raise ConfigError(f"{place}: {row!r}: expected (head, relation, tail)")
        if (count := row.count(None)) > 1:
            raise ConfigError(
                f"{place}: {_describe(row)}: {count} of head, relation and tail are missing; "
                "expected one, which is asked for, or none, for a fact to be scored"
            )
        if (None in row) != (None in rows[0]):
            raise ConfigError(
                f"{place}: {_describe(row)}: questions and complete facts in one table; give them "
                "apart"
            )
    return bool(rows) and None in rows[0]


def _describe(row: Row) -> str:
    return " | ".join("?" if part is None else str(part) for part in row)[:200]


def _check_names(predictor: Predictor, rows: Sequence[Row], places: Sequence[str]) -> None:
    graph = predictor.graph
    for place, (head, relation, tail) in zip(places, rows, strict=True):
        try:
            for entity in (head, tail):
                if entity is not None:
                    graph.find_entity(entity)
            if relation is not None:
                graph.find_relation(relation)
        except DataError as error:
            raise type(error)(f"{place}: {error}") from error


def _answer(
    predictor: Predictor, rows: Sequence[Row], before: int, k: int, options: dict[str, Any]
) -> Iterator[tuple[Any, ...]]:
    graph = predictor.graph
    entities, relations = graph.entities.labels, graph.relations.labels
    asked = [i for i, row in enumerate(rows) if row[1] is not None]
    many = predictor.predict_many([rows[i] for i in asked], k, **options) if asked else []
    answers = dict(zip(asked, many, strict=True))
    for i, (head, relation, tail) in enumerate(rows):
        h = None if head is None else entities[graph.find_entity(head)]
        t = None if tail is None else entities[graph.find_entity(tail)]
        if relation is None:
            assert head is not None
            assert tail is not None
            for p in predictor.predict_relations(head, tail, k, known=options["known"]):
                yield (before + i + 1, "relation", h, p.label, t, p.rank, p.name, p.score, None,
                       p.known)  # fmt: skip
            continue
        r = relations[graph.find_relation(relation)]
        for a in answers[i]:
            side = "head" if h is None else "tail"
            fact = (a.label, r, t) if h is None else (h, r, a.label)
            yield (before + i + 1, side, *fact, a.rank, a.name, a.score, a.probability, a.known)


def _score(predictor: Predictor, rows: Sequence[Row], before: int) -> pl.DataFrame:
    graph, scorer = predictor.graph, predictor.scorer
    ids = resolve_facts(graph, rows)  # type: ignore[arg-type]  # none has a hole
    heads, relations, tails = ids.T
    tail_answers, head_answers = scorer.score_both(heads, relations, tails)
    scores = np.minimum(tail_answers, head_answers)
    calibration = predictor.calibration
    known = graph.fact_index.find_splits(heads, relations, tails)
    return pl.DataFrame(
        {
            "row": np.arange(before + 1, before + len(ids) + 1),
            "head": [graph.entities.labels[i] for i in heads],
            "relation": [graph.relations.labels[i] for i in relations],
            "tail": [graph.entities.labels[i] for i in tails],
            "known": [None if i == UNKNOWN else SPLIT_NAMES[i] for i in known],
            "score": scores,
            "tail_answer": tail_answers,
            "head_answer": head_answers,
            "probability": None if calibration is None else calibration.apply(FACT, scores),
        },
        schema=_SCORES,
    )
