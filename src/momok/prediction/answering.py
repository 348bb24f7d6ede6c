"""The best answers to a batch of questions, with all that is said of them.

Shapes: B questions, k answers each, P answers in all, M modalities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.evaluation.scoring import ANSWER, POOLING
from momok.prediction.explanation import compute_modality_shares
from momok.prediction.results import Answers
from momok.prediction.scorer import Ints, Scorer
from momok.prediction.top_k import NOTHING, find_best


def find_answers(
    scorer: Scorer,
    entities: Ints,
    relations: Ints,
    k: int,
    *,
    hide: bool,
    plausible: bool = False,
) -> Answers:
    """The best k answers to questions about ``entities`` [B] under ``relations`` [B], up to 2R - 1.

    Args:
        hide: leave out facts that the graph already has.
        plausible: leave out answers that are not (``Scorer.train``).
    """
    queries = scorer.encode_queries(entities, relations)
    vectors, attention = queries.vectors, scorer.candidates.attention
    nothing = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    hidden = scorer.known.lookup(entities, relations) if hide else nothing
    if plausible:
        found = _find_plausible(scorer, vectors, entities, relations, k, hidden=hidden)
    else:
        found = find_best(
            vectors,
            scorer.candidates.vectors,
            k,
            hidden=hidden,
            memory_budget=scorer.memory_budget,
        )
    rows, columns = (found != NOTHING).nonzero(as_tuple=True)
    ids = found[rows, columns]
    logits = scorer.score_pairs(vectors, rows, ids)
    weights = None
    if attention is not None and queries.attention is not None:
        weights = (queries.attention[rows] + attention[ids]) / 2
    shares = compute_modality_shares(logits, scorer.modalities, weights)  # [P, M]
    probabilities = {head: torch.sigmoid(values) for head, values in logits.items()}
    scores = POOLING.pool(logits)  # [P]

    # Into [B, k], by the float64 scores; empty places stay at the end.
    cells = rows.cpu().numpy(), columns.cpu().numpy()
    shape = found.shape
    table_ids = found.cpu().numpy()
    table_scores = _scatter(scores, cells, shape, fill=-1.0)
    order = np.lexsort((table_ids, -table_scores), axis=1)

    def arrange(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.take_along_axis(values, order, axis=1)

    ids_in_order = np.take_along_axis(table_ids, order, axis=1)
    per_modality = [arrange(_scatter(part, cells, shape)) for part in shares.unbind(1)]
    in_order = arrange(table_scores)
    by_head = {h: arrange(_scatter(p, cells, shape)) for h, p in probabilities.items()}
    calibration = scorer.calibration
    return Answers(
        ids=ids_in_order,
        scores=in_order,
        known=scorer.known.find_splits(
            entities[:, None], relations[:, None], np.maximum(ids_in_order, 0)
        ),
        heads=by_head,
        shares=np.stack(per_modality, axis=2),
        gates={name: gate.double().cpu().numpy() for name, gate in queries.gates.items()},
        present=scorer.present,
        probabilities=None
        if calibration is None
        else calibration.apply(ANSWER, np.maximum(in_order, 0.0)),
        head_probabilities=None
        if calibration is None
        else {head: calibration.apply(head, values) for head, values in by_head.items()},
    )


def _find_plausible(
    scorer: Scorer,
    vectors: Mapping[str, Tensor],
    entities: Ints,
    relations: Ints,
    k: int,
    *,
    hidden: tuple[Ints, Ints],
) -> Tensor:
    """``find_best`` among the plausible answers of each question, a relation at a time."""
    train = scorer.train
    found = torch.full(
        (len(entities), min(k, scorer.graph.num_entities)),
        NOTHING,
        device=scorer.model.device,
    )
    for relation in np.unique(relations).tolist():
        rows = np.flatnonzero(relations == relation)
        itself = rows[:0] if train.has_loops(relation) else rows
        mine = relations[hidden[0]] == relation
        best = find_best(
            {head: values[rows] for head, values in vectors.items()},
            scorer.candidates.vectors,
            k,
            hidden=(
                np.searchsorted(rows, np.concatenate([hidden[0][mine], itself])),
                np.concatenate([hidden[1][mine], entities[itself]]),
            ),
            memory_budget=scorer.memory_budget,
            among=train.entities_of(relation),
        )
        found[torch.from_numpy(rows), : best.shape[1]] = best
    return found


def _scatter(
    values: Tensor, cells: tuple[Ints, Ints], shape: Sequence[int], fill: float = 0.0
) -> NDArray[np.float64]:
    table = np.full(tuple(shape), fill)
    table[cells] = values.cpu().numpy()
    return table
