"""Masked modalities: what an entity has not, does nothing; and entities that are in no table."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from momok.model import JOINT, ModalitySpec, MoMoK
from momok.model.new_entities import encode_new_candidates, encode_new_queries
from momok.model.votes import abstains, average_votes
from tests.model.small_model import build_model, build_spec

WIDTHS = {"structure": 6, "image": 4, "text": 5}
HEADS = torch.arange(17)
RELATIONS = torch.arange(17) % 6


def build_masked(missing: str = "masked", seed: int = 0, **more: object) -> tuple[MoMoK, ...]:
    """A model of which every third entity has no image; and that entity mask."""
    spec = build_spec(WIDTHS, **more)  # type: ignore[arg-type]
    modalities = tuple(replace(m, missing=missing) for m in spec.modalities)
    present = torch.arange(17) % 3 != 0
    like = build_model(replace(spec, modalities=modalities), seed)
    model = MoMoK(replace(spec, modalities=modalities), present={"image": present}).double()
    model.load_state_dict(like.state_dict() | {"tables.1.present": present}, strict=False)
    return model.eval(), present  # type: ignore[return-value]


def test_scores_without_the_modality_are_none() -> None:
    model, present = build_masked(score_offset=-2.0)
    scores = model.score(HEADS, RELATIONS)
    assert model.abstaining == ("image",)
    expected = ~(present[:, None] & present[None, :])
    assert torch.equal(abstains(scores["image"]), expected)
    for head in ("structure", "text", JOINT):
        assert not abstains(scores[head]).any()


def test_other_scores_are_those_of_a_model_that_has_it() -> None:
    """Where both sides have the image, masking changes nothing."""
    masked, present = build_masked(score_offset=-2.0)
    other, _ = build_masked("zero", score_offset=-2.0)
    both = present[:, None] & present[None, :]
    theirs = other.score(HEADS, RELATIONS)
    for head, scores in masked.score(HEADS, RELATIONS).items():
        torch.testing.assert_close(scores[both], theirs[head][both])


def test_what_is_in_the_table_of_absent_entities_does_nothing() -> None:
    model, present = build_masked()
    before = model.score(HEADS, RELATIONS)
    with torch.no_grad():
        model.tables[1].weight[~present] = 100.0
    for head, scores in model.score(HEADS, RELATIONS).items():
        assert torch.equal(scores, before[head]), head


def test_attention_leaves_it_out() -> None:
    model, present = build_masked()
    for weights in (
        model.candidates().fusion_weights,
        model.queries(HEADS, RELATIONS).fusion_weights,
    ):
        assert weights is not None
        assert (weights[:, ~present, 1] == 0).all()
        assert (weights[:, present, 1] > 0).all()
        torch.testing.assert_close(weights.sum(dim=2), torch.ones(2, 17).double())


def test_an_entity_without_anything_is_fused_as_if_it_had_all() -> None:
    spec = build_spec({"image": 4, "text": 5})
    modalities = tuple(replace(m, missing="masked") for m in spec.modalities)
    present = {"image": torch.arange(17) > 3, "text": torch.arange(17) > 1}
    model = MoMoK(replace(spec, modalities=modalities), present=present).double().eval()
    candidates = model.candidates()
    assert candidates.fusion_weights is not None
    assert candidates.fusion_weights[:, :2].gt(0).all()
    assert candidates.vectors[JOINT].isfinite().all()
    scores = model.score(HEADS, RELATIONS)
    answer = average_votes(scores)
    torch.testing.assert_close(answer[:2], torch.sigmoid(scores[JOINT][:2]))


@pytest.mark.parametrize("missing", ["masked", "mean"])
def test_an_entity_given_as_new_is_the_entity(missing: str) -> None:
    """With all that the tables have of it, structure included, it gets the same vectors."""
    model, present = build_masked(missing, score_offset=-2.0)
    known = present.nonzero().squeeze(1)
    rows = model.entity_rows(known)
    mine, theirs = encode_new_queries(model, rows, known % 6), model.queries(known, known % 6)
    candidates, others = encode_new_candidates(model, rows), model.candidates(known)
    assert list(mine.vectors) == list(theirs.vectors)
    for head in model.heads:
        torch.testing.assert_close(mine.vectors[head], theirs.vectors[head])
        torch.testing.assert_close(candidates.vectors[head], others.vectors[head])


def test_a_new_entity_without_structure_has_no_structure_vote() -> None:
    model, _ = build_masked(score_offset=-2.0)
    rows = {"text": torch.randn(3, 5).double()}
    encoded = encode_new_queries(model, rows, torch.tensor([0, 1, 5]))
    assert list(encoded.vectors) == ["text", JOINT]
    assert encoded.fusion_weights is not None
    assert (encoded.fusion_weights[:, :, 2] == 1).all()
    candidates = model.candidates().vectors
    for head, vectors in encoded.vectors.items():
        scores = vectors @ candidates[head].T
        assert scores.isfinite().all()
        assert not abstains(scores).any()
    image = encode_new_candidates(model, {"image": torch.randn(2, 4).double()}).vectors["image"]
    query = model.queries(HEADS[:4], RELATIONS[:4]).vectors["image"]
    assert torch.equal(abstains(query @ image.T).all(dim=1), torch.arange(4) % 3 == 0)


def test_modality_spec_refuses_another_policy() -> None:
    with pytest.raises(AssertionError, match="median"):
        ModalitySpec(name="image", width=3, table_width=3, missing="median")  # type: ignore[arg-type]
