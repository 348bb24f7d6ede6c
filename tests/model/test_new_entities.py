"""Entities that are in no table: the towers of what they have, and of nothing else."""

from __future__ import annotations

import pytest
import torch

from momok.model import JOINT, ModalitySpec
from momok.model.new_entities import encode_new_queries
from tests.model.small_model import build_model, build_spec

WIDTHS = {"structure": 6, "image": 4, "text": 5}
HEADS = torch.arange(17)
RELATIONS = torch.arange(17) % 6


@pytest.mark.parametrize("more", [{}, {"experts": 0}, {"fusion": "concat"}], ids=str)
def test_an_entity_given_as_new_is_the_entity(more: dict[str, object]) -> None:
    """With all that the tables have of it, structure included, it gets the same vectors."""
    model = build_model(build_spec(WIDTHS, score_offset=-2.0, **more))
    rows = model.entity_rows(HEADS)
    mine = encode_new_queries(model, rows, RELATIONS)
    theirs = model.queries(HEADS, RELATIONS)
    assert list(mine.vectors) == list(theirs.vectors)
    for head in model.heads:
        torch.testing.assert_close(mine.vectors[head], theirs.vectors[head])


def test_a_new_entity_without_structure_has_no_structure_head() -> None:
    model = build_model(build_spec(WIDTHS, score_offset=-2.0))
    rows = {"text": torch.randn(3, 5).double()}
    encoded = encode_new_queries(model, rows, torch.tensor([0, 1, 5]))
    assert list(encoded.vectors) == ["text", JOINT]
    assert encoded.fusion_weights is not None
    assert (encoded.fusion_weights[:, :, 2] == 1).all()
    assert (encoded.fusion_weights[:, :, :2] == 0).all()
    candidates = model.candidates().vectors
    for head, vectors in encoded.vectors.items():
        assert (vectors @ candidates[head].T).isfinite().all()


def test_modality_spec_refuses_another_policy() -> None:
    with pytest.raises(AssertionError, match="median"):
        ModalitySpec(name="image", width=3, table_width=3, missing="median")  # type: ignore[arg-type]
