"""Filtered ranking by brute force: plain Python loops in float64, straight from the definitions.

Independent of momok: it takes scores and facts as lists and gives plain numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Fact = tuple[int, int, int]
ScoreAll = Callable[[int, int], Mapping[str, Sequence[float]]]  # (entity, relation) -> by head

HITS_AT = (1, 3, 10, 100)


def add_answer(scores: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """Add the mean over heads of sigmoid(score) as "answer"."""
    columns = zip(*scores.values(), strict=True)
    answer = [sum(1 / (1 + math.exp(-s)) for s in column) / len(scores) for column in columns]
    return {**{head: list(values) for head, values in scores.items()}, "answer": answer}


def rank(scores: Sequence[float], answer: int, known: Iterable[int]) -> tuple[int, int]:
    """Return the optimistic and pessimistic rank of ``answer`` without the other known ones."""
    left_out = set(known) - {answer}
    optimistic = pessimistic = 1
    for candidate, score in enumerate(scores):
        if candidate == answer or candidate in left_out:
            continue
        optimistic += score > scores[answer]
        pessimistic += score >= scores[answer]
    return optimistic, pessimistic


def measure(ranks: Sequence[float]) -> dict[str, Any]:
    """Return the metrics of ranks under the keys of an evaluation's JSON."""
    if not ranks:
        nothing = {str(k): None for k in HITS_AT}
        return {"count": 0, "mrr": None, "mean_rank": None, "hits": nothing}
    return {
        "count": len(ranks),
        "mrr": sum(1 / r for r in ranks) / len(ranks),
        "mean_rank": sum(ranks) / len(ranks),
        "hits": {str(k): sum(r <= k for r in ranks) / len(ranks) for k in HITS_AT},
    }


def classify(relation: int, train: Iterable[Fact]) -> str:
    """Return the relation's cardinality by Bordes et al. (2013): below 1.5 on average is "1"."""
    tails: dict[int, set[int]] = {}
    heads: dict[int, set[int]] = {}
    for h, r, t in train:
        if r == relation:
            tails.setdefault(h, set()).add(t)
            heads.setdefault(t, set()).add(h)
    if not tails:
        return "undefined"

    def name(groups: Mapping[int, set[int]]) -> str:
        return "1" if sum(map(len, groups.values())) / len(groups) < 1.5 else "N"

    return f"{name(heads)}-{name(tails)}"


def evaluate(
    score_all: ScoreAll,
    splits: Mapping[str, Sequence[Fact]],
    split: str,
    labels: Sequence[str],
    present: Mapping[str, Sequence[bool]],
    *,
    among: Mapping[str, Iterable[int]] | None = None,
) -> dict[tuple[str, ...], dict[str, Any]]:
    """Return the metrics of every group, keyed by the path that leads to it in the JSON.

    ``among``: per side the entities that may be answers; questions with another answer are skipped.
    """
    known: dict[tuple[int, int], set[int]] = {}
    for facts in splits.values():
        for h, r, t in facts:
            known.setdefault((h, r), set()).add(t)
            known.setdefault((t, r + len(labels)), set()).add(h)
    in_train = {entity for h, _, t in splits["train"] for entity in (h, t)}

    groups: dict[tuple[str, ...], list[float]] = {}
    for h, r, t in splits[split]:
        cardinality = classify(r, splits["train"])
        seen = "seen" if h in in_train and t in in_train else "unseen"
        for side, entity, relation, answer in (
            ("tail", h, r, t),
            ("head", t, r + len(labels), h),
        ):
            by_head = add_answer(score_all(entity, relation))
            everyone = set(range(len(by_head["answer"])))
            others = everyone - set((among or {}).get(side, everyone))
            if answer in others:
                continue
            for head, scores in by_head.items():
                optimistic, pessimistic = rank(scores, answer, known[entity, relation] | others)
                realistic = (optimistic + pessimistic) / 2
                paths: list[tuple[str, ...]] = [
                    ("by_tie_rule", "realistic"),
                    ("by_side", side),
                    ("by_relation", labels[r]),
                    ("by_relation_and_side", side, labels[r]),
                    ("by_cardinality", cardinality),
                    ("by_cardinality_and_side", side, cardinality),
                    ("by_seen", seen),
                ]
                for modality, mask in present.items():
                    for role, who in (("query", entity), ("answer", answer)):
                        state = "present" if mask[who] else "absent"
                        paths.append(("by_presence", modality, f"{role}_{state}"))
                for path in paths:
                    groups.setdefault((*path, head), []).append(realistic)
                for rule, value in (("optimistic", optimistic), ("pessimistic", pessimistic)):
                    groups.setdefault(("by_tie_rule", rule, head), []).append(value)
    return {path: measure(ranks) for path, ranks in groups.items()}
