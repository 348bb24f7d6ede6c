"""The best answers to a batch of questions, with all that is said of them.

Shapes: B questions, k answers each, P answers in all, M modalities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.arrays import Ints
from momok.evaluation.pooling import Pooling
from momok.evaluation.scoring import ANSWER
from momok.graph.fact_index import UNKNOWN, lookup_excluded
from momok.prediction.results import Answers
from momok.prediction.scorer import Encoded, Scorer
from momok.prediction.top_k import NOTHING, find_best


def find_answers(
    scorer: Scorer,
    entities: Ints,
    relations: Ints,
    k: int,
    *,
    hide: bool,
    plausible: bool = False,
    among: Ints | None = None,
) -> Answers:
    """The best k answers to questions about ``entities`` [B] under ``relations`` [B], up to 2R - 1.

    ``hide`` leaves out facts that the graph already has; ``plausible`` leaves out answers that are
    not, as ``Predictor.predict`` says; of ids ``among`` [n], ascending, only these are answers. No
    entity answers its own question unless train has such facts of the relation.
    """
    queries, facts = scorer.encode_queries(entities, relations), scorer.graph.fact_index
    train = scorer.graph.train_index
    if hide:
        hidden = lookup_excluded(facts, train, entities, relations)
    else:
        hidden = train.lookup_own(entities, relations)
    if plausible:
        found = _find_plausible(
            scorer, queries, entities, relations, k, hidden=hidden, within=among
        )
    else:
        found = find_best(
            queries.vectors,
            scorer.candidates.vectors,
            k,
            hidden=hidden,
            memory_budget=scorer.memory_budget,
            among=among,
            pooling=scorer.pooling,
            terms=queries.terms,
        )
    rows = torch.arange(len(found), device=found.device).repeat_interleave(found.shape[1])
    ids = found.view(-1).clamp(min=0)
    scores = scorer.score_pairs(queries.vectors, rows, ids)
    shares = scorer.compute_shares(scores, queries, rows, ids)
    answers = sort_answers(
        found,
        scores,
        shares,
        pooled=scorer.pooling.pool(scores, queries.terms, rows, ids),
        pooling=scorer.pooling,
        gates=queries.gates,
        present=scorer.present,
    )
    known = facts.find_splits(entities[:, None], relations[:, None], np.maximum(answers.ids, 0))
    answers = replace(answers, known=known)
    if (calibration := scorer.calibration) is None:
        return answers
    rest = scorer.find_rest(queries, entities, relations)
    return replace(
        answers,
        probabilities=calibration.apply(ANSWER, np.maximum(answers.scores, 0.0), rest),
        head_probabilities={h: calibration.apply(h, p, rest) for h, p in answers.heads.items()},
    )


def sort_answers(
    found: Tensor,
    scores: Mapping[str, Tensor],
    shares: Tensor,
    *,
    pooled: Tensor,
    pooling: Pooling,
    gates: Mapping[str, Tensor],
    present: Mapping[str, NDArray[np.bool_]],
) -> Answers:
    """Sort answers by their float64 scores, of equal ones the lower id first.

    Ids ``found`` [B, k] have ``NOTHING`` in empty places. ``scores`` are per head [B * k],
    ``shares`` [B * k, M], ``pooled`` [B * k] the answers; ``gates``, of the queries, and
    ``present`` go into the result.
    """
    ids = found.cpu().numpy()
    answers = pooled.view(found.shape).cpu().numpy()
    order = np.lexsort((ids, np.where(ids == NOTHING, np.inf, -answers)), axis=1)

    def sort(values: Tensor) -> NDArray[Any]:
        return np.take_along_axis(values.view(found.shape).cpu().numpy(), order, axis=1)

    return Answers(
        ids=sort(found),
        scores=np.take_along_axis(answers, order, axis=1),
        known=np.full(ids.shape, UNKNOWN),
        heads={
            head: sort(pooling.compute_log_probabilities(values).exp())
            for head, values in scores.items()
        },
        shares=np.stack([sort(part) for part in shares.T], axis=2),
        gates={name: gate.double().cpu().numpy() for name, gate in gates.items()},
        present=present,
    )


def _find_plausible(
    scorer: Scorer,
    queries: Encoded,
    entities: Ints,
    relations: Ints,
    k: int,
    *,
    hidden: tuple[Ints, Ints],
    within: Ints | None,
) -> Tensor:
    """``find_best`` among the plausible answers of each question, a relation at a time."""
    train = scorer.graph.train_index
    found = torch.full(
        (len(entities), min(k, scorer.graph.num_entities)),
        NOTHING,
        device=scorer.model.device,
    )
    for relation in np.unique(relations).tolist():
        rows = np.flatnonzero(relations == relation)
        mine = relations[hidden[0]] == relation
        plausible = train.entities_of(relation)
        best = find_best(
            {head: values[rows] for head, values in queries.vectors.items()},
            scorer.candidates.vectors,
            k,
            hidden=(np.searchsorted(rows, hidden[0][mine]), hidden[1][mine]),
            memory_budget=scorer.memory_budget,
            pooling=scorer.pooling,
            terms=None if queries.terms is None else queries.terms.select(torch.from_numpy(rows)),
            among=plausible if within is None else np.intersect1d(plausible, within),
        )
        found[torch.from_numpy(rows), : best.shape[1]] = best
    return found
