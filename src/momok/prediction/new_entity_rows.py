"""From texts, pictures or vectors of a new entity to rows of a model's tables.

Shapes: n vectors, d numbers in a feature vector, f width of a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from momok.config import RunConfig
from momok.errors import FeatureError
from momok.graph import Features
from momok.graph.triples import Triples
from momok.model import MoMoK
from momok.prediction.row_maps import RowMap, fit_row_map
from momok.training.feature_rows import Preparation, find_preparation

__all__ = ["NewRows"]

FloatMatrix = NDArray[np.float32]


class NewRows:
    """What training made of feature vectors, for vectors that it did not have.

    Args:
        features: of the graph that the model was trained on.
        train: its train facts ``[n, 3]``: entities without any have rows that never moved as
            those of others did.
        config: of the run.
        model: the trained model.

    Raises:
        FeatureError: the features are not those of the model.
    """

    def __init__(
        self, features: Mapping[str, Features], train: Triples, config: RunConfig, model: MoMoK
    ) -> None:
        self._features, self._config = features, config
        self._tables = model.tables_by_name
        self._trained = np.zeros(model.num_entities, dtype=np.bool_)
        self._trained[train[:, [0, 2]].ravel()] = True
        self._preparation = cache(self._find_preparation)
        self.row_map = cache(self._find_row_map)

    def make(self, modality: str, vectors: FloatMatrix, *, moved: bool = True) -> FloatMatrix:
        """Rows ``[n, f]`` of the table of a modality for feature vectors ``[n, d]``.

        Args:
            modality: one with features.
            vectors: as those of the graph.
            moved: whether a trained table's rows are those that training would have made of them;
                otherwise those that it would have begun with.

        Raises:
            FeatureError: vectors of another width, or values that are no numbers.
        """
        width = self._features[modality].manifest.width
        if vectors.ndim != 2 or vectors.shape[1] != width:
            raise FeatureError(
                f"modality {modality!r}: a vector of shape {list(vectors.shape[1:])}; the graph's "
                f"have {width} numbers"
            )
        if not np.isfinite(vectors).all():
            raise FeatureError(f"modality {modality!r}: a vector holds NaN or infinity")
        prepared = self._preparation(modality).apply(vectors.astype(np.float32))
        if not moved or not self._tables[modality].spec.trainable:
            return prepared
        return self.row_map(modality).apply(prepared)

    def _find_preparation(self, modality: str) -> Preparation:
        settings = self._config.features_of(modality)
        return find_preparation(modality, self._features[modality], settings)

    def _find_row_map(self, modality: str) -> RowMap:
        features, table = self._features[modality], self._tables[modality]
        chosen = np.flatnonzero(features.present & self._trained)
        prepared = self._preparation(modality).apply(features.matrix[chosen])
        rows = table.weight.detach().float().cpu().numpy()[chosen]
        if rows.shape != prepared.shape:
            raise FeatureError(
                f"modality {modality!r}: the features have {prepared.shape[1]} numbers when "
                f"prepared, the table of the model has {rows.shape[1]}"
            )
        return fit_row_map(prepared, rows)
