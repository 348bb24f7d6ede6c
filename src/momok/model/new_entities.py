"""The two towers for entities that are in no table: they came after training.

Such an entity has no structure vector, and table rows of the modalities that it has. The heads of
the others abstain, and the joint head leaves them out of its attention.

Shapes: B queries, n candidates, f_m width of the table of modality m.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from momok.model.momok import JOINT, MoMoK
from momok.model.noise import Noise
from momok.model.towers import Candidates, Queries

__all__ = ["encode_new_candidates", "encode_new_queries"]


def encode_new_queries(model: MoMoK, rows: Mapping[str, Tensor], relations: Tensor) -> Queries:
    """The query tower for new entities, in evaluation mode.

    Args:
        rows: per modality that all of them have, table rows [B, f_m]; at least one modality.
        relations: [B].

    Returns:
        vectors of the heads that vote, as wide as those of ``MoMoK.candidates``.
    """
    entities, absent = _see(model, rows)
    encoded = model.encode_query_vectors(entities, absent, relations)
    vectors = {head: encoded.vectors[head] for head in _voting(model, rows)}
    return model.widen_queries(replace(encoded, vectors=vectors, voters={}), _present(model, rows))


def encode_new_candidates(model: MoMoK, rows: Mapping[str, Tensor]) -> Candidates:
    """The candidate tower for new entities, in evaluation mode: see ``encode_new_queries``."""
    entities, absent = _see(model, rows)
    encoded = model.encode_candidate_vectors(entities, absent, Noise(None))
    vectors = {head: encoded.vectors[head] for head in _voting(model, rows)}
    return model.widen_candidates(replace(encoded, vectors=vectors), _present(model, rows))


def _see(model: MoMoK, rows: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """What the experts see of them, zeros where there is nothing; and which heads abstain."""
    like = next(iter(rows.values()))
    tables = model.tables_by_name
    entities = {
        name: table.project(rows[name])
        if name in rows
        else like.new_zeros(len(like), table.spec.width)
        for name, table in tables.items()
    }
    nobody = torch.zeros(len(like), dtype=torch.bool, device=like.device)
    return entities, {name: nobody for name in tables if name not in rows}


def _voting(model: MoMoK, rows: Mapping[str, Tensor]) -> list[str]:
    return [head for head in model.heads if head in rows or head == JOINT]


def _present(model: MoMoK, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The votes of heads that abstain for some entities of the tables: those have wider vectors."""
    like = next(iter(rows.values()))
    everybody = torch.ones(len(like), dtype=torch.bool, device=like.device)
    return {name: everybody for name in model.abstaining if name in rows}
