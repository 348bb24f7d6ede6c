"""Single test queries worth looking at: what the model was sure of, and where it was far off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from momok.evaluation import ANSWER
from momok.prediction import Predictor
from momok.reporting.report.blocks import Label, Swatch, name_entity, name_relation
from momok.reporting.report.contents import RunContents
from momok.reporting.report.metric_tables import head_cells
from momok.reporting.report.numbers import Number, percent, rank
from momok.reporting.report.pictures import Picture, Pictures

__all__ = ["Case", "CaseGroup", "Shown", "find_cases", "show_entity"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CASES = 6  # of a kind
_PER_RELATION = 2  # of a kind: one relation would fill all places
_RIVALS = 3  # answers of the model beside the true one
_MOST_ASKED = 600  # wrong queries whose first answer is looked up
_MOST_SCORED = 20_000  # facts whose probability is looked up


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An entity with its picture, if it has one."""

    kind: ClassVar[str] = "entity"

    name: Label
    picture: Picture | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One line of a case: an entity that the model ranks."""

    place: Number
    entity: Shown
    probability: Number
    true: bool


@dataclass(frozen=True, kw_only=True)
class Case:
    """One test query: the question, the model's first answers and the true one.

    Attributes:
        asked: ``tail`` or ``head``.
        answers: filtered, best first; the true one is among them.
        heads: (head, its rank of the true answer, its probability).
        unseen: whether train never shows an entity of the fact.
    """

    given: Shown
    relation: Label
    asked: str
    answers: Sequence[Answer]
    heads: Sequence[tuple[Swatch, Number, Number]]
    unseen: bool


@dataclass(frozen=True, kw_only=True)
class CaseGroup:
    """Cases of one kind, and how they were chosen."""

    kind: ClassVar[str] = "cases"

    title: str
    note: str
    cases: Sequence[Case]


def find_cases(contents: RunContents, predictor: Predictor, pictures: Pictures) -> list[CaseGroup]:
    """Choose the surest right answers, the surest wrong ones and the answers furthest off.

    Queries are positions in 0..2F-1, as in ``QueryRanks``: the tail query of every test fact, then
    the head query of every one.
    """
    assert contents.ranks is not None
    ranks = contents.ranks.ranks[ANSWER].realistic
    seen = ~contents.unseen_queries
    probabilities = _score(contents, predictor)
    right = _spread_out(
        contents, np.argsort(-np.where(ranks == 1, probabilities, -1), kind="stable")
    )
    right = [query for query in right if ranks[query] == 1][:CASES]
    candidates = np.argsort(-np.where(seen, ranks, 0), kind="stable")
    worst = [q for q in _spread_out(contents, candidates) if ranks[q] > 1 and seen[q]][:CASES]
    wrong = _find_surest_wrong(contents, predictor, ranks, taken=set(worst))
    unseen = int((~seen).sum())
    left_out = (
        f" {unseen:,} queries of facts with an entity that train never shows are left aside."
        if unseen
        else ""
    )
    most = f"at most {_PER_RELATION} of a relation"
    groups = [
        (
            "Surest and right",
            f"The true answer comes first, with the highest probability; {most}.",
            right,
        ),
        (
            "Sure of something else",
            "The first answer is none of the known facts, and the model is surest of it: a "
            f"mistake, or a fact that the graph lacks; {most}.",
            wrong,
        ),
        ("Furthest off", f"The true answer stands lowest; {most}.{left_out}", worst),
    ]
    chosen = [query for _, _, queries in groups for query in queries]
    built = dict(zip(chosen, _build(contents, predictor, pictures, chosen), strict=True))
    return [
        CaseGroup(title=title, note=note, cases=[built[query] for query in queries])
        for title, note, queries in groups
        if queries
    ]


def show_entity(contents: RunContents, pictures: Pictures, entity: int) -> Shown:
    """An entity's name and picture."""
    return Shown(name=name_entity(contents.graph, entity), picture=pictures.get(entity))


def list_queries(facts: Ints) -> tuple[Ints, Ints, Ints, list[str]]:
    """Given entity, relation, true answer [2F] and the side asked for of every query."""
    heads, relations, tails = facts.T
    return (
        np.concatenate([heads, tails]),
        np.concatenate([relations, relations]),
        np.concatenate([tails, heads]),
        ["tail"] * len(facts) + ["head"] * len(facts),
    )


def _score(contents: RunContents, predictor: Predictor) -> Floats:
    """The probability of the true answer of every query [2F]; -1 beyond the bound."""
    facts = contents.graph.test[:_MOST_SCORED]
    scores = np.full((2, len(contents.graph.test)), -1.0)
    scores[0, : len(facts)] = predictor.score_facts(facts, asked="tail").answer
    scores[1, : len(facts)] = predictor.score_facts(facts, asked="head").answer
    return scores.reshape(-1)


def _spread_out(contents: RunContents, order: Iterable[int]) -> list[int]:
    """The first queries of an order, each question once and few of a relation."""
    given, relations, _, asked = list_queries(contents.graph.test)
    counts: Counter[int] = Counter()
    questions: set[tuple[int, int, str]] = set()
    chosen: list[int] = []
    for query in map(int, order):
        relation = int(relations[query])
        question = int(given[query]), relation, asked[query]
        if counts[relation] < _PER_RELATION and question not in questions:
            counts[relation] += 1
            questions.add(question)
            chosen.append(query)
        if len(chosen) == 8 * CASES:
            break
    return chosen


def _find_surest_wrong(
    contents: RunContents, predictor: Predictor, ranks: Floats, taken: set[int]
) -> list[int]:
    """Queries whose first answer is no known fact and has the highest probability."""
    wrong = np.flatnonzero(ranks > 1)
    if len(wrong) > _MOST_ASKED:  # evenly spread: facts often stand in order of relations
        wrong = wrong[np.linspace(0, len(wrong) - 1, _MOST_ASKED).astype(int)]
    wrong = np.array([query for query in wrong if int(query) not in taken], dtype=np.int64)
    if not len(wrong):
        return []
    answers = predictor.predict_many(_ask(contents, wrong.tolist()), k=1, known="hide")
    sure = np.array([found[0].score if len(found) else -1.0 for found in answers])
    return _spread_out(contents, wrong[np.argsort(-sure, kind="stable")])[:CASES]


def _ask(contents: RunContents, queries: Sequence[int]) -> list[tuple[int | None, int, int | None]]:
    given, relations, _, asked = list_queries(contents.graph.test)
    return [
        (int(given[q]), int(relations[q]), None)
        if asked[q] == "tail"
        else (None, int(relations[q]), int(given[q]))
        for q in queries
    ]


def _build(
    contents: RunContents,
    predictor: Predictor,
    pictures: Pictures,
    queries: Sequence[int],
) -> list[Case]:
    if not queries:
        return []
    ranks = contents.ranks
    assert ranks is not None
    graph = contents.graph
    given, relations, truth, asked = list_queries(graph.test)
    rivals = predictor.predict_many(_ask(contents, queries), k=_RIVALS, known="hide")
    of_heads = _score_heads(contents, predictor, queries)
    swatches = head_cells((*predictor.heads, ANSWER))
    calibration = predictor.calibration

    def calibrate(head: str, value: float) -> float:
        return value if calibration is None else float(calibration.apply(head, value))

    cases = []
    for row, (query, found) in enumerate(zip(queries, rivals, strict=True)):
        place = float(ranks.ranks[ANSWER].realistic[query])
        score = float(of_heads[ANSWER][row])
        ranked = [(answer.score, graph.entities.index(answer.label), False) for answer in found]
        ranked.append((score, int(truth[query]), True))
        ranked.sort(key=lambda item: (-item[0], not item[2]))
        if place > _RIVALS:  # the stored rank decides: the scores of a tie may be equal
            ranked.sort(key=lambda item: item[2])
        answers = [
            Answer(
                place=rank(place if true else position),
                entity=show_entity(contents, pictures, entity),
                probability=percent(calibrate(ANSWER, value), digits=1, bar=True),
                true=true,
            )
            for position, (value, entity, true) in enumerate(ranked, start=1)
        ]
        cases.append(
            Case(
                given=show_entity(contents, pictures, int(given[query])),
                relation=name_relation(graph, int(relations[query])),
                asked=asked[query],
                answers=answers,
                heads=[
                    (
                        swatches[head],
                        rank(float(ranks.ranks[head].realistic[query])),
                        percent(calibrate(head, float(of_heads[head][row])), digits=1),
                    )
                    for head in swatches
                ],
                unseen=bool(contents.unseen_queries[query]),
            )
        )
    return cases


def _score_heads(
    contents: RunContents, predictor: Predictor, queries: Sequence[int]
) -> dict[str, Floats]:
    """Per head and for the answer, the probability of the true answer of each query."""
    facts = contents.graph.test
    positions = np.asarray(queries)
    chosen = facts[positions % len(facts)]
    result = {head: np.empty(len(queries)) for head in (*predictor.heads, ANSWER)}
    for side, mine in (("tail", positions < len(facts)), ("head", positions >= len(facts))):
        if mine.any():
            scores = predictor.score_facts(chosen[mine], asked=side)  # type: ignore[arg-type]
            result[ANSWER][mine] = scores.answer
            for head, values in scores.heads.items():
                result[head][mine] = values
    return result
