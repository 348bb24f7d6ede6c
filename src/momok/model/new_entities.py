"""The query tower for entities that are in no table: they came after training.

Such an entity has no structure vector, and table rows of the modalities that it has. The heads of
the others say nothing, and the joint head leaves them out of its attention.

Shapes: B queries, f_m width of the table of modality m.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from momok.model.momok import MoMoK
from momok.model.towers import Queries


def encode_new_queries(model: MoMoK, rows: Mapping[str, Tensor], relations: Tensor) -> Queries:
    """The query tower for new entities, in evaluation mode.

    Args:
        rows: per modality that all of them have, table rows [B, f_m]; at least one modality.
        relations: [B].

    Returns:
        vectors of the heads of these modalities and the joint one, as wide as those of
        ``MoMoK.candidates``.
    """
    tables = model.tables_by_name  # the model's order of modalities
    seen = {name: table.project(rows[name]) for name, table in tables.items() if name in rows}
    return model.widen(model.encode_query_vectors(seen, relations))
