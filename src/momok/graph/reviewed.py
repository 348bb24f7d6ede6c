"""Facts that people have accepted or rejected, put into a graph: train facts and hard negatives.

Shapes: n, m facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from momok.graph.graph import SPLIT_NAMES, MultimodalGraph
from momok.graph.names import Vocabulary
from momok.graph.splits import find_redundant_relations, group_facts
from momok.graph.text_files import Finding
from momok.graph.triples import Triples, encode_triples, first_occurrences, is_member

Labels: TypeAlias = tuple[str, str, str]
"""Head, relation and tail."""


@dataclass(frozen=True, kw_only=True)
class ReviewedFacts:
    """What people have decided, by labels."""

    accepted: Sequence[Labels] = ()
    rejected: Sequence[Labels] = ()


def apply_reviews(graph: MultimodalGraph, reviewed: ReviewedFacts) -> MultimodalGraph:
    """Give the same graph with accepted facts in train and rejected ones as ``rejected``.

    Facts of labels that the graph does not have are left out, and counted among its findings.
    """
    if not (reviewed.accepted or reviewed.rejected):
        return graph
    accepted, rejected = (
        _find_ids(facts, graph.entities, graph.relations)
        for facts in (reviewed.accepted, reviewed.rejected)
    )
    lost = len(reviewed.accepted) + len(reviewed.rejected) - len(accepted) - len(rejected)
    message = f"{lost:,} reviewed facts have a label that the graph does not list; left out"
    findings = [Finding("review-unknown-label", lost, message)] if lost else []
    splits = {split: graph.facts(split) for split in SPLIT_NAMES}
    findings += _find_leaks(graph, accepted)
    train, kept, note = settle_reviews(
        splits | {"withheld": graph.withheld},
        accepted,
        np.concatenate([graph.rejected, rejected]),
        (graph.num_entities, graph.num_relations),
    )
    return replace(
        graph,
        train=train,
        rejected=kept,
        split_notes=(*graph.split_notes, note),
        findings=(*graph.findings, *findings),
    )


def settle_reviews(
    splits: Mapping[Any, Triples],
    accepted: Triples,
    rejected: Triples,
    sizes: tuple[int, int],
) -> tuple[Triples, Triples, str]:
    """Put decided facts where they belong; valid and test stay as they are.

    Args:
        splits: facts of a graph by split; with those ``withheld``, they are held out too.
        accepted: ``[n, 3]``; what no split has joins train.
        rejected: ``[m, 3]``; what train has leaves it, unless it was accepted too.
        sizes: how many entities and relations there are.

    Returns:
        the train facts, the rejected facts (each once, in no split), and what was done, in words.
    """
    keys = {split: encode_triples(facts, *sizes) for split, facts in splits.items()}
    held_out = np.concatenate([key for split, key in keys.items() if split != "train"])
    new, new_keys = _take_distinct(accepted, sizes)
    known = is_member(new_keys, np.concatenate([keys["train"], held_out]))
    wrong, wrong_keys = _take_distinct(rejected, sizes)
    in_test = is_member(wrong_keys, held_out)
    counts = ~in_test & ~is_member(wrong_keys, new_keys)
    gone = is_member(keys["train"], wrong_keys[counts])
    note = (
        f"{int((~known).sum()):,} reviewed facts added to train ({int(known.sum()):,} were known "
        "already)"
    )
    if len(wrong):
        note += f"; {int(counts.sum()):,} rejected ones are negatives"
        note += f", {int(gone.sum()):,} of them left train" * bool(gone.any())
        note += f" ({int(in_test.sum()):,} others are held out and stay)" * bool(in_test.any())
    train = np.concatenate([splits["train"][~gone], new[~known]])
    return train, wrong[counts], note


def _find_leaks(graph: MultimodalGraph, accepted: Triples) -> list[Finding]:
    """Count held-out facts that an accepted one tells, as one of train would."""
    sizes = graph.num_entities, graph.num_relations
    held_out = np.concatenate([graph.valid, graph.test])
    pairs = find_redundant_relations(graph.train, *sizes)
    groups = group_facts(np.concatenate([accepted, held_out]), pairs, *sizes)
    told = np.isin(groups[len(accepted) :], groups[: len(accepted)])
    told &= ~is_member(encode_triples(held_out, *sizes), encode_triples(accepted, *sizes))
    if not told.any():
        return []
    message = (
        f"{int(told.sum()):,} valid and test facts are told by an accepted one: reversed, or of an "
        "inverse or duplicate relation; they say nothing of what the model can do"
    )
    return [Finding("inverse-leak", int(told.sum()), message)]


def _take_distinct(facts: Triples, sizes: tuple[int, int]) -> tuple[Triples, Triples]:
    """Each fact once, and their keys."""
    keys = encode_triples(facts, *sizes)
    first, _ = first_occurrences(keys)
    return facts[first], keys[first]


def _find_ids(facts: Iterable[Labels], entities: Vocabulary, relations: Vocabulary) -> Triples:
    """The ids of those facts whose labels are known ``[n, 3]``."""
    found = [
        (entities.ids[head], relations.ids[relation], entities.ids[tail])
        for head, relation, tail in facts
        if head in entities and relation in relations and tail in entities
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 3)
