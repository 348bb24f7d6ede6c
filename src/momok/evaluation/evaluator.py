"""Evaluates a two-tower model on a split of a graph: filtered ranks, grouped in every useful way.

Notation: F facts, 2F queries (tail side, then head side), Q of them ranked, U distinct queries,
N entities, R relations, d width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import count

import numpy as np
import torch
from torch import Tensor

from momok.arrays import Bools, Ints
from momok.errors import ConfigError, DataError
from momok.evaluation.blocks import RankedQueries
from momok.evaluation.grouping import SIDES, summarise
from momok.evaluation.pool import Pool
from momok.evaluation.pooling import choose_pooling
from momok.evaluation.ranking import AnswerRanker, rank_in_parts
from momok.evaluation.results import (
    Candidates,
    Evaluation,
    Protocol,
    Ranks,
    Split,
)
from momok.evaluation.scoring import ANSWER, DEFAULT_MEMORY_BUDGET, QUERY_BATCH
from momok.graph import MultimodalGraph
from momok.graph.candidates import Among, Side, resolve_candidates
from momok.model.towers import TwoTowerModel
from momok.progress import Progress, no_progress
from momok.shard import Shard

# Entities whose vectors are kept: half a gigabyte at four heads of width 256. Where there are more,
# they are ranked in parts of so many, and encoded twice.
_MOST_KEPT = 1 << 17


def evaluate(
    model: TwoTowerModel,
    graph: MultimodalGraph,
    split: Split,
    *,
    protocol: Protocol = "clean",
    among: Among | None = None,
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
    metrics.best_of_each_metric. ``among``: the entities that answers are ranked among, by type or
    as a list, for both sides or for ``"head"`` and ``"tail"`` apart; queries whose answer is none
    of these are left out and counted (``Evaluation.candidates``). ``pool``: how the heads and rules
    become the answer; without one the heads weigh the same. ``memory_budget``: bytes of the score
    buffers; metrics do not depend on it. ``progress`` is told of distinct queries. ``shard``: the
    candidates that this rank has, where several rank together; each gets the whole result.

    Raises DataError for a split that is empty or of which all is left out, ConfigError for a head
    named "answer", TrainingError for scores that are not finite; for ``among`` as
    ``resolve_entities``.
    """
    if split not in ("valid", "test"):
        raise ConfigError(f"split = {split!r}: expected 'valid' or 'test'")
    facts: Ints = graph.facts(split)
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
    excluded, chosen = _choose_queries(graph, facts, candidates := resolve_candidates(graph, among))
    before = model.training
    model.train(False)
    try:
        with torch.no_grad():
            show = partial(progress, f"ranking {split}")
            ranks = _rank_facts(
                model,
                graph,
                facts,
                chosen,
                excluded=excluded,
                pool=pool,
                memory_budget=memory_budget,
                progress=show,
                shard=shard or Shard(graph.num_entities),
            )
    finally:
        model.train(before)
    evaluation = summarise(model, graph, facts, chosen, ranks, split=split, protocol=protocol)
    if not candidates:
        return evaluation
    return replace(evaluation, candidates=_describe(candidates, among, chosen, len(facts)))


def _choose_queries(
    graph: MultimodalGraph, facts: Ints, candidates: Mapping[Side, Ints]
) -> tuple[Bools | None, Ints]:
    """Which entities [2, N] are no candidates of the tail and the head queries, None where all are;
    and which of the 2F queries are ranked: those whose answer is a candidate."""
    if not candidates:
        return None, np.arange(2 * len(facts))
    excluded = np.zeros((2, graph.num_entities), dtype=bool)
    for side, ids in candidates.items():
        excluded[SIDES.index(side)] = True
        excluded[SIDES.index(side), ids] = False
    chosen = np.flatnonzero(~np.concatenate([excluded[0, facts[:, 2]], excluded[1, facts[:, 0]]]))
    if not len(chosen):
        raise DataError(
            f"graph '{graph.name}': no question of this split has its answer among the entities "
            "that are given, so there is nothing to rank"
        )
    return excluded, chosen


def _describe(
    candidates: Mapping[Side, Ints], among: Among | None, chosen: Ints, num_facts: int
) -> dict[str, Candidates]:
    """What ``Evaluation.candidates`` says."""
    ranked = {"tail": (chosen < num_facts).sum(), "head": (chosen >= num_facts).sum()}
    given = among if isinstance(among, Mapping) else dict.fromkeys(SIDES, among)
    return {
        side: Candidates(
            type=kind if isinstance(kind := given[side], str) else None,
            entities=len(candidates[side]),
            left_out=num_facts - int(ranked[side]),
        )
        for side in SIDES
        if side in candidates
    }


def _rank_facts(
    model: TwoTowerModel,
    graph: MultimodalGraph,
    facts: Ints,
    chosen: Ints,
    *,
    excluded: Bools | None,
    pool: Pool | None,
    memory_budget: int,
    progress: Callable[[int, int], None],
    shard: Shard,
) -> dict[str, Ranks]:
    """Return Ranks [Q] per head, of the Q chosen ones of 2F queries: the tail query of every fact,
    then the head query of every."""
    N, R = graph.num_entities, graph.num_relations
    heads, relations, tails = facts.T
    # In order of relations: a model may share work between queries of one relation in a batch.
    asked = np.concatenate([relations * N + heads, (relations + R) * N + tails])[chosen]
    keys, query_of_answer = np.unique(asked, return_inverse=True)
    answers = np.concatenate([tails, heads])[chosen]
    sides = (keys >= R * N).astype(np.int64)
    masks = None if excluded is None else torch.from_numpy(excluded).to(_find_device(model))
    if _MOST_KEPT < N or not shard.whole:
        encoded = [vectors for _, vectors in _encode_queries(model, keys, N)]
        everything = RankedQueries(
            {head: torch.cat([vectors[head] for vectors in encoded]) for head in model.heads},
            answers=answers,
            answer_rows=query_of_answer,
            known=graph.true_facts.lookup(*np.divmod(keys, N)[::-1]),
            terms=None if pool is None else pool.find_terms(*np.divmod(keys, N)[::-1]),
            excluded=None if masks is None else (sides, masks),
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
            excluded=None if masks is None else (sides[first : first + QUERY_BATCH], masks),
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
    device = _find_device(model)
    for first in range(0, len(keys), QUERY_BATCH):
        relations, entities = np.divmod(keys[first : first + QUERY_BATCH], num_entities)
        ids = torch.from_numpy(entities).to(device), torch.from_numpy(relations).to(device)
        yield first, model.queries(*ids).vectors


def _find_device(model: TwoTowerModel) -> torch.device:
    return next(iter(model.present.values())).device


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
