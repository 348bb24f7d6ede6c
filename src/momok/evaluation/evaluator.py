"""Evaluates a two-tower model on a split of a graph: filtered ranks, grouped in every useful way.

Notation: F facts, 2F queries (tail side, then head side), U distinct queries, N entities,
R relations, d width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any

import numpy as np
import torch
from torch import Tensor

from momok.arrays import Floats, Ints
from momok.errors import ConfigError, DataError
from momok.evaluation.metrics import Metrics, compute_grouped_metrics
from momok.evaluation.pool import Pool
from momok.evaluation.pooling import choose_pooling
from momok.evaluation.ranking import AnswerRanker, RankedQueries, rank_in_parts
from momok.evaluation.results import TIE_RULES, Evaluation, Protocol, QueryRanks, Ranks, Split
from momok.evaluation.scoring import ANSWER, DEFAULT_MEMORY_BUDGET, QUERY_BATCH
from momok.graph import MultimodalGraph
from momok.graph.triples import CARDINALITIES, classify_cardinality, mark_unseen
from momok.model.towers import TwoTowerModel
from momok.progress import Progress, no_progress
from momok.shard import Shard

SIDES = ("tail", "head")

# Entities whose vectors are kept: half a gigabyte at four heads of width 256. Where there are more,
# they are ranked in parts of so many, and encoded twice.
_MOST_KEPT = 1 << 17


def evaluate(
    model: TwoTowerModel,
    graph: MultimodalGraph,
    split: Split,
    *,
    protocol: Protocol = "clean",
    pool: Pool | None = None,
    memory_budget: int = DEFAULT_MEMORY_BUDGET,
    progress: Progress = no_progress,
    shard: Shard | None = None,
) -> Evaluation:
    """Rank the true answers of a split's facts and report the metrics.

    Every fact (h, r, t) gives the queries (h, r, ?) and (t, r + R, ?); answers known from train,
    valid or test are filtered. Runs where the model is, in evaluation mode (its mode is restored),
    without gradients, scores in float32. Candidates and distinct queries are encoded once; more
    than 131,072 candidates twice, some at a time, so that their vectors need no more memory.

    ``protocol`` is recorded, nothing more: under "published" the caller selects by
    metrics.best_of_each_metric. ``pool``: how the heads and rules become the answer; without one
    the heads weigh the same. ``memory_budget``: bytes of the score buffers; metrics do not
    depend on it. ``progress`` is told of distinct queries. ``shard``: the candidates that this rank
    has, where several rank together; each gets the whole result.

    Raises DataError for an empty split, ConfigError for a head named "answer", TrainingError
    for scores that are not finite.
    """
    facts: Ints = graph.valid if split == "valid" else graph.test
    if not len(facts):
        raise DataError(
            f"the {split} split of graph '{graph.name}' has no facts, so there is nothing to "
            f"evaluate: add facts to {split} or choose another split"
        )
    if ANSWER in model.heads:
        raise ConfigError(
            f"a decision head is named '{ANSWER}', which stands for the joint answer of all "
            "heads in evaluations: rename the modality"
        )
    before = model.training
    model.train(False)
    try:
        with torch.no_grad():
            show = partial(progress, f"ranking {split}")
            ranks = _rank_facts(
                model,
                graph,
                facts,
                pool=pool,
                memory_budget=memory_budget,
                progress=show,
                shard=shard or Shard(graph.num_entities),
            )
    finally:
        model.train(before)
    return _summarise(model, graph, facts, ranks, split=split, protocol=protocol)


def _rank_facts(
    model: TwoTowerModel,
    graph: MultimodalGraph,
    facts: Ints,
    *,
    pool: Pool | None,
    memory_budget: int,
    progress: Callable[[int, int], None],
    shard: Shard,
) -> dict[str, Ranks]:
    """Return Ranks [2F] per head: the tail query of every fact, then the head query of every."""
    N, R = graph.num_entities, graph.num_relations
    heads, relations, tails = facts.T
    # In order of relations: a model may share work between queries of one relation in a batch.
    keys, query_of_answer = np.unique(
        np.concatenate([relations * N + heads, (relations + R) * N + tails]), return_inverse=True
    )
    answers = np.concatenate([tails, heads])
    if _MOST_KEPT < N or not shard.whole:
        encoded = [vectors for _, vectors in _encode_queries(model, keys, N)]
        everything = RankedQueries(
            {head: torch.cat([vectors[head] for vectors in encoded]) for head in model.heads},
            answers=answers,
            answer_rows=query_of_answer,
            known=graph.true_facts.lookup(*np.divmod(keys, N)[::-1]),
            terms=None if pool is None else pool.find_terms(*np.divmod(keys, N)[::-1]),
        )
        del encoded
        return _rank_parts(model, shard, everything, memory_budget, progress)
    order = np.argsort(query_of_answer, kind="stable")
    rows = query_of_answer[order]
    ranker = AnswerRanker(
        model.candidates().vectors,
        memory_budget=memory_budget,
        pooling=choose_pooling(model.softmax),
    )
    pieces: list[dict[str, Ranks]] = []
    for first, vectors in _encode_queries(model, keys, N):
        batch = keys[first : first + QUERY_BATCH]
        mine = slice(*np.searchsorted(rows, [first, first + len(batch)]))
        part = RankedQueries(
            {head: vectors[head] for head in model.heads},
            answers=answers[order[mine]],
            answer_rows=rows[mine] - first,
            known=graph.true_facts.lookup(*np.divmod(batch, N)[::-1]),
            terms=None if pool is None else pool.find_terms(*np.divmod(batch, N)[::-1]),
        )

        def show(done: int, first: int = first) -> None:
            progress(first + done, len(keys))

        pieces.append(ranker.rank(part, show))
        del vectors, part  # the next ones take their memory
    return {head: _join([piece[head] for piece in pieces], order) for head in pieces[0]}


def _encode_queries(
    model: TwoTowerModel, keys: Ints, num_entities: int
) -> Iterator[tuple[int, Mapping[str, Tensor]]]:
    """Encode the queries some at a time: the place of the first, and the vectors of each head."""
    device = next(iter(model.present.values())).device
    for first in range(0, len(keys), QUERY_BATCH):
        relations, entities = np.divmod(keys[first : first + QUERY_BATCH], num_entities)
        ids = torch.from_numpy(entities).to(device), torch.from_numpy(relations).to(device)
        yield first, model.queries(*ids).vectors


def _rank_parts(
    model: TwoTowerModel,
    shard: Shard,
    queries: RankedQueries,
    memory_budget: int,
    progress: Callable[[int, int], None],
) -> dict[str, Ranks]:
    """Rank among more candidates than are kept; the bar goes on as parts are encoded."""
    num_parts = -(-len(shard) // _MOST_KEPT)
    size = -(-len(shard) // num_parts)  # no part is much smaller than the others
    total = len(next(iter(queries.vectors.values())))
    taken = count(1)

    def parts() -> Iterator[tuple[int, Mapping[str, Tensor]]]:
        for start in range(shard.first, shard.stop, size):
            vectors = model.candidates(slice(start, min(start + size, shard.stop))).vectors
            yield start, {head: vectors[head] for head in model.heads}
            del vectors
            progress(total * next(taken) // (2 * num_parts), total)

    return rank_in_parts(
        queries,
        parts,
        memory_budget=memory_budget,
        pooling=choose_pooling(model.softmax),
        shard=shard,
    )


def _join(pieces: Sequence[Ranks], order: Ints) -> Ranks:
    """Concatenate ranks of answers taken in ``order`` and undo that order."""
    back = np.argsort(order)
    return Ranks(
        optimistic=np.concatenate([piece.optimistic for piece in pieces])[back],
        pessimistic=np.concatenate([piece.pessimistic for piece in pieces])[back],
    )


def _summarise(
    model: TwoTowerModel,
    graph: MultimodalGraph,
    facts: Ints,
    ranks: Mapping[str, Ranks],
    *,
    split: Split,
    protocol: Protocol,
) -> Evaluation:
    """Group the ranks [2F] of every head and compute the metrics of every group."""
    relations = np.concatenate([facts[:, 1], facts[:, 1]])
    cardinalities = classify_cardinality(graph.train, graph.num_entities, graph.num_relations)
    unseen = mark_unseen(graph.train, facts, graph.num_entities)
    by_rule = {rule: {head: getattr(r, rule) for head, r in ranks.items()} for rule in TIE_RULES}
    realistic = by_rule["realistic"]
    of_cardinality = cardinalities[relations]
    labels = tuple(graph.relations.labels)

    def by_side_and(groups: Ints, names: Sequence[str]) -> dict[str, Any]:
        halves = zip(SIDES, (slice(None, len(facts)), slice(len(facts), None)), strict=True)
        return {
            side: _group({head: r[half] for head, r in realistic.items()}, groups[half], names)
            for side, half in halves
        }

    return Evaluation(
        split=split,
        protocol=protocol,
        num_facts=len(facts),
        num_queries=2 * len(facts),
        num_unseen_facts=int(unseen.sum()),
        by_tie_rule={
            rule: _group(values, np.zeros_like(relations), ["all"])["all"]
            for rule, values in by_rule.items()
        },
        by_side=_group(realistic, np.repeat([0, 1], len(facts)), SIDES),
        by_relation=_group(realistic, relations, labels),
        by_relation_and_side=by_side_and(relations, labels),
        by_cardinality=_group(realistic, of_cardinality, CARDINALITIES),
        by_cardinality_and_side=by_side_and(of_cardinality, CARDINALITIES),
        by_presence=_group_by_presence(model, facts, realistic),
        by_seen=_group(realistic, np.tile(unseen, 2).astype(np.int64), ("seen", "unseen")),
        query_ranks=QueryRanks(facts=facts, ranks=ranks),
    )


def _group(
    ranks: Mapping[str, Floats], groups: Ints, names: Sequence[str]
) -> dict[str, dict[str, Metrics]]:
    """Return {group name: {head: metrics}}; ``groups`` [2F] are positions in ``names``."""
    by_head = {
        head: compute_grouped_metrics(values, groups, len(names)) for head, values in ranks.items()
    }
    return {
        name: {head: metrics[g] for head, metrics in by_head.items()}
        for g, name in enumerate(names)
    }


def _group_by_presence(
    model: TwoTowerModel, facts: Ints, ranks: Mapping[str, Floats]
) -> dict[str, dict[str, dict[str, Metrics]]]:
    """Group by whether the query's entity, and the answer, has each modality."""
    roles = {
        "query": np.concatenate([facts[:, 0], facts[:, 2]]),
        "answer": np.concatenate([facts[:, 2], facts[:, 0]]),
    }
    result = {}
    for modality in model.modalities:
        absent = ~model.present[modality].cpu().numpy().astype(bool)
        result[modality] = {
            name: by_head
            for role, entities in roles.items()
            for name, by_head in _group(
                ranks, absent[entities].astype(np.int64), (f"{role}_present", f"{role}_absent")
            ).items()
        }
    return result
