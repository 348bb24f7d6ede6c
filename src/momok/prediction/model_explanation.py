"""What a trained model has learned of the relations: experts, modalities, how far experts differ.

Shapes: R relations, K experts, M modalities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momok.prediction.questions import Side, Thing

__all__ = ["SIDES", "ModelExplanation"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SIDES: tuple[Side, ...] = ("tail", "head")
"""The side that a query asks for: (head, relation, ?), then (?, relation, tail)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelExplanation:
    """Which experts and modalities serve which relation, and how far the experts differ.

    Averages are over the distinct train queries of a relation, apart by the side asked for; where
    there is no such query, a row is NaN (null in JSON).

    Attributes:
        graph: the name of the graph.
        relations: the R relations.
        modalities: the M modalities, the columns of ``fusion`` and ``shares``.
        queries: by side [R], how many train queries there are.
        experts: by modality and side [R, K], the average gate; rows sum to one.
        fusion: by side [R, M], the joint head's average attention on the query's modalities; rows
            sum to one. None for a model without the joint head.
        shares: by side [R, M], the average part of each modality in the answer, over the train
            facts; rows sum to one.
        cka: by modality [K, K], linear CKA of the experts' outputs over all entities, 0 to 1.
        mutual_information: (epoch, CLUB estimate) over training, the mean over modalities of the
            estimate for one random pair of experts per step; empty where it was not estimated.
    """

    graph: str
    relations: tuple[Thing, ...]
    modalities: tuple[str, ...]
    queries: dict[Side, Ints]
    experts: dict[str, dict[Side, Floats]]
    fusion: dict[Side, Floats] | None
    shares: dict[Side, Floats]
    cka: dict[str, Floats]
    mutual_information: tuple[tuple[int, float], ...]

    @property
    def num_experts(self) -> int:
        """K."""
        return len(next(iter(self.cka.values())))

    def to_json(self) -> dict[str, Any]:
        """The plain form: one record per relation, weights by name, null where there is none."""
        return {
            "graph": self.graph,
            "modalities": list(self.modalities),
            "relations": [self._describe_relation(row) for row in range(len(self.relations))],
            "cka": {modality: matrix.tolist() for modality, matrix in self.cka.items()},
            "mutual_information": [
                {"epoch": epoch, "estimate": value} for epoch, value in self.mutual_information
            ],
        }

    def _describe_relation(self, row: int) -> dict[str, Any]:
        return self.relations[row].to_json() | {
            "queries": {side: int(counts[row]) for side, counts in self.queries.items()},
            "experts": {
                modality: {side: _as_list(matrix[row]) for side, matrix in by_side.items()}
                for modality, by_side in self.experts.items()
            },
            "fusion": None if self.fusion is None else self._by_modality(self.fusion, row),
            "shares": self._by_modality(self.shares, row),
        }

    def _by_modality(self, tables: dict[Side, Floats], row: int) -> dict[str, Any]:
        return {
            side: dict(zip(self.modalities, _as_list(table[row]), strict=True))
            if self.queries[side][row]
            else None
            for side, table in tables.items()
        }


def _as_list(row: Floats) -> list[float | None]:
    return [None if math.isnan(value) else value for value in row.tolist()]
