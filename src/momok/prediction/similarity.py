"""Which entities resemble one another in one modality, by cosine.

Shapes: N entities, d width, n entities asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["SimilarityTable", "build_table"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class SimilarityTable:
    """The vectors of one modality, ready to be compared.

    Attributes:
        vectors: what they are: ``features`` as given, or vectors ``trained`` by the model.
        matrix: [N, d].
        norms: [N] lengths of the rows.
        present: [N] which entities have the modality; only these are compared.
    """

    vectors: Literal["features", "trained"]
    matrix: NDArray[np.float32]
    norms: NDArray[np.float32]
    present: NDArray[np.bool_]

    @property
    def compared(self) -> int:
        """How many entities have the modality."""
        return int(self.present.sum())

    def find_similar(self, entity: int, among: Ints, limit: int) -> list[tuple[int, float, int]]:
        """The entities that resemble one most.

        Args:
            entity: which; it must have the modality.
            among: [n] distinct entities to choose from; those without the modality are left out.
            limit: how many at most.

        Returns:
            (entity, cosine, rank), most similar first; of equal ones the lower id. The rank is
            the place among all entities that have the modality, ``entity`` itself left out.
        """
        among = np.sort(among[self.present[among] & (among != entity)])
        if not len(among):
            return []
        similarities = self._compare(entity)
        best = among[np.argsort(-similarities[among], kind="stable")[:limit]]
        others = self.present.copy()
        others[entity] = False
        rivals = similarities[others]
        ranks = 1 + (rivals > similarities[best, None]).sum(axis=1)
        return [
            (int(e), float(similarities[e]), int(rank)) for e, rank in zip(best, ranks, strict=True)
        ]

    def _compare(self, entity: int) -> NDArray[np.float32]:
        """Cosines [N]; a vector of length zero resembles nothing."""
        lengths = self.norms * self.norms[entity]
        products = self.matrix @ self.matrix[entity]
        cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        clipped: NDArray[np.float32] = np.clip(cosines, -1.0, 1.0)
        return clipped


def build_table(
    matrix: NDArray[np.float32],
    present: NDArray[np.bool_],
    vectors: Literal["features", "trained"],
) -> SimilarityTable:
    """Make vectors [N, d] of one modality ready to be compared."""
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    return SimilarityTable(vectors=vectors, matrix=matrix, norms=norms, present=present)
