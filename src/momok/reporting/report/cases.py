"""Single test queries worth looking at: what the model was sure of, and where it was far off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from momok.arrays import Floats, Ints
from momok.evaluation import ANSWER
from momok.prediction import Predictor
from momok.prediction.questions import label_question
from momok.reporting.report import formatting as fmt
from momok.reporting.report.contents import RunContents
from momok.reporting.report.page import Pictures

Case = dict[str, Any]

CASES = 6  # of a kind
_PER_RELATION = 2  # of a kind: one relation would fill all places
_RIVALS = 3  # answers of the model beside the true one
_MOST_ASKED = 600  # wrong queries whose first answer is looked up
_MOST_SCORED = 20_000  # facts whose probability is looked up


@dataclass(frozen=True)
class Queries:
    """The test queries [2F], as in ``QueryRanks``: all tail queries, then all head queries.

    Attributes:
        given, relations, truth: entity, relation and true answer.
    """

    given: Ints
    relations: Ints
    truth: Ints

    @classmethod
    def of(cls, facts: Ints) -> Queries:
        """The two queries of every fact."""
        heads, relations, tails = facts.T
        return cls(
            np.concatenate([heads, tails]), np.tile(relations, 2), np.concatenate([tails, heads])
        )

    def asks_tail(self, query: int) -> bool:
        """Whether a query asks for the tail."""
        return query < len(self.given) // 2

    def ask(self, query: int) -> tuple[int | None, int, int | None]:
        """The ids of a query's head, relation and tail; None for the one that is asked."""
        given, relation = int(self.given[query]), int(self.relations[query])
        return (given, relation, None) if self.asks_tail(query) else (None, relation, given)


def find_cases(
    contents: RunContents, predictor: Predictor, pictures: Pictures
) -> list[tuple[str, str, list[Case]]]:
    """Choose the surest right answers, the surest wrong ones and the answers furthest off.

    Returns:
        (title, how they were chosen, cases) of each kind. A case is what the template shows of a
        query: ``question``, with "?" for the side asked for; ``answers``, the model's first ones
        beside known facts, and the true one; ``rule``, what speaks most for the first answer
        among the rules of a pool, or None; ``heads``, each with its rank of the true answer and
        its probability; ``unseen``, whether train never shows an entity of the fact.
    """
    assert contents.ranks is not None
    ranks = contents.ranks.ranks[ANSWER].realistic
    seen = ~contents.unseen_queries
    queries = Queries.of(contents.graph.test)
    right = np.flatnonzero(ranks == 1)
    scored = right[right % len(contents.graph.test) < _MOST_SCORED]
    sure = scored[np.argsort(-_score(contents, predictor, scored)[0], kind="stable")]
    low = np.flatnonzero((ranks > 1) & seen)
    worst = _spread_out(queries, low[np.argsort(-ranks[low], kind="stable")])
    wrong = _sort_surest_wrong(queries, predictor, np.setdiff1d(np.flatnonzero(ranks > 1), worst))
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
            _spread_out(queries, sure),
        ),
        (
            "Sure of something else",
            "The first answer is none of the known facts, and the model is surest of it: a "
            f"mistake, or a fact that the graph lacks; {most}.",
            _spread_out(queries, wrong),
        ),
        ("Furthest off", f"The true answer stands lowest; {most}.{left_out}", worst),
    ]
    chosen = [query for _, _, members in groups for query in members]
    built = dict(zip(chosen, _build(contents, predictor, pictures, chosen), strict=True))
    return [(title, note, [built[query] for query in members]) for title, note, members in groups]


def write_question(contents: RunContents, query: int, pictures: Pictures | None = None) -> Markup:
    """A query as people read it: France borders → ?"""
    graph = contents.graph
    queries = Queries.of(graph.test)
    given = int(queries.given[query])
    entity = pictures.show(given) if pictures else fmt.name_entity(graph, given)
    relation = fmt.name_relation(graph, int(queries.relations[query]))
    hole = Markup('<span class="hole">?</span>')
    sides = (entity, hole) if queries.asks_tail(query) else (hole, entity)
    return fmt.write('{} <span class="relation">{} →</span> {}', sides[0], relation, sides[1])


def _spread_out(queries: Queries, order: Iterable[int]) -> list[int]:
    """The first queries of an order, each question once and few of a relation."""
    counts: Counter[int] = Counter()
    questions: set[tuple[int | None, int, int | None]] = set()
    chosen: list[int] = []
    for query in map(int, order):
        question = queries.ask(query)
        if counts[question[1]] < _PER_RELATION and question not in questions:
            counts[question[1]] += 1
            questions.add(question)
            chosen.append(query)
        if len(chosen) == CASES:
            break
    return chosen


def _sort_surest_wrong(queries: Queries, predictor: Predictor, wrong: Ints) -> Ints:
    """Queries whose first answer is no known fact, by its probability."""
    if len(wrong) > _MOST_ASKED:  # evenly spread: facts often stand in order of relations
        wrong = wrong[np.linspace(0, len(wrong) - 1, _MOST_ASKED).astype(int)]
    asked = [label_question(predictor.graph, *queries.ask(int(query))) for query in wrong]
    answers = predictor.predict_many(asked, k=1, known="hide") if asked else []
    sure = np.array([found[0].score if len(found) else -1.0 for found in answers])
    return wrong[np.argsort(-sure, kind="stable")]


def _build(
    contents: RunContents, predictor: Predictor, pictures: Pictures, chosen: Sequence[int]
) -> list[Case]:
    if not chosen:
        return []
    assert contents.ranks is not None
    ranks, entities = contents.ranks.ranks, contents.graph.entities
    queries = Queries.of(contents.graph.test)
    asked = [label_question(predictor.graph, *queries.ask(query)) for query in chosen]
    rivals = predictor.predict_many(asked, k=_RIVALS, known="hide")
    scores, probabilities = _score(contents, predictor, np.asarray(chosen))
    shown_heads = fmt.name_heads(probabilities)
    cases = []
    for row, (query, found) in enumerate(zip(chosen, rivals, strict=True)):
        place = float(ranks[ANSWER].realistic[query])
        ranked = [
            (
                answer.score,
                entities.index(answer.label),
                False,
                answer.score if answer.probability is None else answer.probability,
            )
            for answer in found
        ]
        true_answer = float(scores[row]), int(queries.truth[query]), True
        ranked.append((*true_answer, float(probabilities[ANSWER][row])))
        # The stored rank decides where the true answer stands: the scores of a tie may be equal.
        ranked.sort(key=lambda item: (item[2] and place > _RIVALS, -item[0], not item[2]))
        answers = [
            {
                "place": place if true else position,
                "entity": pictures.show(entity),
                "probability": fmt.percent(probability, 1, unit="%", bar=True),
                "true": true,
            }
            for position, (_, entity, true, probability) in enumerate(ranked, start=1)
        ]
        heads = [
            (
                shown_heads[head],
                fmt.rank(float(ranks[head].realistic[query])),
                fmt.percent(float(values[row]), 1, unit=""),
            )
            for head, values in probabilities.items()
        ]
        cases.append(
            {
                "question": write_question(contents, query, pictures),
                "answers": answers,
                "rule": _find_rule(predictor, queries, query, ranked[0][1]),
                "heads": heads,
                "unseen": bool(contents.unseen_queries[query]),
            }
        )
    return cases


def _find_rule(predictor: Predictor, queries: Queries, query: int, answer: int) -> str | None:
    """Why the strongest rule that speaks for an answer does."""
    reverse = 0 if queries.asks_tail(query) else predictor.graph.num_relations
    asked = int(queries.given[query]), int(queries.relations[query]) + reverse
    rules, _ = predictor.explainer.find_rules(*asked, answer, 1)
    return rules[0].reason if rules else None


def _score(
    contents: RunContents, predictor: Predictor, chosen: Ints
) -> tuple[Floats, dict[str, Floats]]:
    """The score of the true answer of each query; and per head and, last, for the answer, its
    probability, calibrated where the run is."""
    facts = contents.graph.test
    of_tail = chosen < len(facts)
    scores = np.empty(len(chosen))
    probabilities = {head: np.empty(len(chosen)) for head in (*predictor.heads, ANSWER)}
    for side, mine in (("tail", of_tail), ("head", ~of_tail)):
        if mine.any():
            found = predictor.score_facts(facts[chosen[mine] % len(facts)], asked=side)  # type: ignore[arg-type]
            scores[mine] = found.answer
            answer = found.answer if found.probability is None else found.probability
            heads = found.head_probabilities or found.heads
            for head, values in (*heads.items(), (ANSWER, answer)):
                probabilities[head][mine] = values
    return scores, probabilities
