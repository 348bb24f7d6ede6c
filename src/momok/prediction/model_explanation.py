"""What a trained model has learned of the relations: experts, modalities, how far experts differ.

The case study of Zhang et al. 2025 (arXiv:2405.16869) for any graph.

Shapes: N entities, R relations (2R with reciprocals), K experts, M modalities, B queries of a
batch, P pairs of query and answer, d width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.arrays import Floats, Ints
from momok.evaluation.scoring import QUERY_BATCH
from momok.graph.candidates import Side
from momok.model import MoMoK
from momok.model.noise import Noise
from momok.prediction.expert_statistics import compute_cka, compute_random_cka
from momok.prediction.predictor import Predictor
from momok.prediction.questions import Thing, describe_relation
from momok.progress import Progress, no_progress
from momok.training import RunFolder

SIDES: tuple[Side, ...] = ("tail", "head")
"""The side that a query asks for: (head, relation, ?), then (?, relation, tail)."""

_ENTITY_BLOCK = 4096  # bounds what the experts hold per entity


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelExplanation:
    """Which experts and modalities serve which relation, and how far the experts differ.

    Averages are over the distinct train queries of a relation, apart by the side asked for; where
    there is no such query, a row is NaN (null in JSON).

    Attributes:
        graph: the name of the graph.
        relations: the R relations.
        modalities: the M modalities, the columns of ``fusion``.
        parts: the columns of ``shares``: the modalities, and ``rules`` where the run has any.
        queries: by side [R], how many train queries there are.
        experts: by modality and side [R, K], the average gate; rows sum to one.
        fusion: by side [R, M], the joint head's average attention on the query's modalities; rows
            sum to one. None for a model without the joint head.
        shares: by side [R, parts], the average share of each part in the answer, over the train
            facts; rows sum to one.
        cka: by modality [K, K], linear CKA of the experts' outputs over all entities, 0 to 1.
        random_cka: by modality, the mean CKA of different experts if their maps were random.
        mutual_information: (epoch, CLUB estimate) over training, the mean over modalities of the
            estimate for one random pair of experts per step; empty where it was not estimated.
    """

    graph: str
    relations: tuple[Thing, ...]
    modalities: tuple[str, ...]
    parts: tuple[str, ...]
    queries: dict[Side, Ints]
    experts: dict[str, dict[Side, Floats]]
    fusion: dict[Side, Floats] | None
    shares: dict[Side, Floats]
    cka: dict[str, Floats]
    random_cka: dict[str, float]
    mutual_information: tuple[tuple[int, float], ...]

    @property
    def num_experts(self) -> int:
        """K."""
        return len(next(iter(self.cka.values())))

    def list_relations(self) -> list[int]:
        """Rows of the relations that train has, the one with most queries first."""
        counts = np.sum(list(self.queries.values()), axis=0)
        return [int(row) for row in np.argsort(-counts, kind="stable") if counts[row]]

    def average_shares(self) -> Floats:
        """The mean share of each part over both questions of every fact: [R, parts]."""
        return np.asarray((self.shares["tail"] + self.shares["head"]) / 2)

    def average_fusion(self) -> Floats | None:
        """The mean attention over all queries of a relation, whatever they ask: [R, M]."""
        if self.fusion is None:
            return None
        asked = [self.queries[side][:, None] for side in SIDES]
        total = self.fusion["tail"] * asked[0] + self.fusion["head"] * asked[1]
        return np.asarray(total / np.maximum(asked[0] + asked[1], 1))  # NaN without such facts

    def to_json(self) -> dict[str, Any]:
        """The plain form: one record per relation, weights by name, null where there is none."""
        return {
            "graph": self.graph,
            "modalities": list(self.modalities),
            "parts": list(self.parts),
            "relations": [self._describe_relation(row) for row in range(len(self.relations))],
            "cka": {modality: matrix.tolist() for modality, matrix in self.cka.items()},
            "random_cka": dict(self.random_cka),
            "mutual_information": [
                {"epoch": epoch, "estimate": value} for epoch, value in self.mutual_information
            ],
        }

    def _describe_relation(self, row: int) -> dict[str, Any]:
        def choose(tables: dict[Side, Floats], names: tuple[str, ...] = ()) -> dict[Side, Any]:
            rows = {side: table[row].tolist() for side, table in tables.items()}
            return {
                side: (dict(zip(names, weights, strict=True)) if names else weights)
                if self.queries[side][row]
                else None
                for side, weights in rows.items()
            }

        return self.relations[row].to_json() | {
            "queries": {side: int(counts[row]) for side, counts in self.queries.items()},
            "experts": {modality: choose(by_side) for modality, by_side in self.experts.items()},
            "fusion": None if self.fusion is None else choose(self.fusion, self.modalities),
            "shares": choose(self.shares, self.parts),
        }


def explain_model(
    run: Predictor | RunFolder | str | Path, *, progress: Progress = no_progress
) -> ModelExplanation:
    """Say what the chosen checkpoint of a run has learned of the relations.

    Every train query passes through the model once, in batches.

    Args:
        run: a run folder, its path, or a predictor that has it open.
        progress: is told of the train queries.

    Raises:
        MomokError: as ``Predictor``.
    """
    predictor = run if isinstance(run, Predictor) else Predictor(run)
    graph, model = predictor.graph, predictor.model
    gates = predictor.explainer.average_gates
    fusion, shares = _average_modalities(predictor, progress)
    with torch.no_grad():
        return ModelExplanation(
            graph=graph.name,
            relations=tuple(describe_relation(graph, r) for r in range(graph.num_relations)),
            modalities=model.modalities,
            parts=predictor.parts,
            queries=_by_side(predictor.explainer.query_counts.numpy()),
            experts={modality: _by_side(gate.cpu().numpy()) for modality, gate in gates.items()},
            fusion=None if fusion is None else _by_side(fusion),
            shares=_by_side(shares),
            cka={m: compute_cka(_read_outputs(model, m)).numpy() for m in model.modalities},
            random_cka={m: compute_random_cka(_read_vectors(model, m)) for m in model.modalities},
            mutual_information=_read_estimates(predictor.run),
        )


@torch.no_grad()
def _average_modalities(predictor: Predictor, progress: Progress) -> tuple[Floats | None, Floats]:
    """[2R, M] the mean attention, if there is any, and [2R, parts] shares; NaN without a query."""
    queries, scorer = predictor.explainer.queries, predictor.scorer
    relations = 2 * predictor.graph.num_relations
    attention = torch.zeros(relations, len(scorer.modalities), dtype=torch.float64)
    shares = torch.zeros(relations, len(scorer.parts), dtype=torch.float64)
    order = torch.argsort(queries.relations, stable=True)
    done = 0
    for chosen in torch.split(order, QUERY_BATCH):
        batch = queries.batch(chosen)
        encoded = scorer.encode_queries(batch.heads.numpy(), batch.relations.numpy())
        attention.index_add_(0, batch.relations, encoded.attention.cpu())
        pairs = batch.to(scorer.model.device)
        scores = scorer.score_pairs(encoded.vectors, pairs.rows, pairs.answers)
        parts = scorer.compute_shares(scores, encoded, pairs.rows, pairs.answers)  # [P, parts]
        shares.index_add_(0, batch.relations[batch.rows], parts.cpu())
        done += len(chosen)
        progress("reading train queries", done, len(order))
    per_query = predictor.explainer.query_counts.double().unsqueeze(1)
    facts = torch.zeros(relations, dtype=torch.float64)
    facts.index_add_(0, queries.relations, queries.counts.double())
    mean_shares = (shares / facts.unsqueeze(1)).numpy()
    return (attention / per_query).numpy() if scorer.has_attention else None, mean_shares


def _by_side(table: NDArray[Any]) -> dict[Side, Any]:
    """Rows of 2R relations, apart by the side their queries ask for."""
    return dict(zip(SIDES, np.split(table, 2), strict=True))


def _read_vectors(model: MoMoK, modality: str) -> Iterator[Tensor]:
    """What the experts of a modality read of all entities: blocks [n, d]."""
    table = model.tables_by_name[modality]
    return iter(torch.split(table.vectors(table.rows()), _ENTITY_BLOCK))


def _read_outputs(model: MoMoK, modality: str) -> Iterator[Tensor]:
    """What the experts of a modality say of all entities: blocks [n, K, d]."""
    bank = model.banks_by_name.get(modality)
    return (
        block.unsqueeze(1) if bank is None else bank.outputs(block, Noise(None))
        for block in _read_vectors(model, modality)
    )


def _read_estimates(run: RunFolder) -> tuple[tuple[int, float], ...]:
    """The CLUB estimates of the training log; none where the experts were not kept apart."""
    return tuple(
        (int(record["epoch"]), float(record["mutual_information"]))
        for record in run.records("epoch")
        if "mutual_information" in record
    )
