"""The authors' checkpoint gives the authors' numbers, and goes back to their naming."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from momok.errors import CheckpointError
from momok.model import ModalitySpec, MoMoK, MoMoKSpec
from momok.model.reference import load_reference, reference_state


@pytest.fixture
def expected(reference: Path) -> dict[str, np.ndarray]:
    with np.load(reference / "tiny" / "expected.npz") as archive:
        return dict(archive)


def test_probabilities_gates_and_fusion_weights(reference, expected) -> None:
    model = load_reference(reference / "tiny")
    queries = torch.from_numpy(expected["queries"])
    with torch.no_grad():
        scores = model.score(queries[:, 0], queries[:, 1])
        encoded = model.queries(queries[:, 0], queries[:, 1])
    assert list(scores) == ["structure", "image", "text", "joint"]
    for head, logits in scores.items():
        np.testing.assert_allclose(
            torch.sigmoid(logits), expected[f"eval_prob_{head}"], rtol=0, atol=1e-5
        )
    for modality, gate in encoded.gates.items():
        np.testing.assert_allclose(gate, expected[f"eval_gate_{modality}"], rtol=0, atol=1e-5)
    assert encoded.fusion_weights is not None
    np.testing.assert_allclose(
        encoded.fusion_weights[1], expected["eval_fusion_weights_last_head"], rtol=0, atol=1e-5
    )


def test_a_checkpoint_survives_the_way_back(reference, tmp_path) -> None:
    theirs = torch.load(reference / "tiny" / "RMoE.pth", weights_only=True)
    ours = reference_state(load_reference(reference / "tiny"))
    assert {name: tensor.shape for name, tensor in ours.items()} == {
        name: tensor.shape for name, tensor in theirs.items()
    }
    unused = {name for name in theirs if name.startswith("mm_moe") or name == "bias"}
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs.keys() - unused)
    torch.save(ours, tmp_path / "RMoE.pth")
    again = load_reference(tmp_path)
    assert torch.equal(
        again.score(*[torch.arange(4)] * 2)["joint"],
        load_reference(reference / "tiny").score(*[torch.arange(4)] * 2)["joint"],
    )


def test_a_pickle_that_runs_code_is_refused(tmp_path) -> None:
    marker = tmp_path / "ran"

    class Hostile:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (marker,)

    path = tmp_path / "RMoE.pth"
    path.write_bytes(pickle.dumps(Hostile(), protocol=4))
    with pytest.raises(CheckpointError, match=r"RMoE\.pth: not a plain PyTorch state dict"):
        load_reference(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": torch.zeros(2)}, "no tensor 'entity_embeddings.weight'"),
        ([1, 2], "expected a dict of tensors, found list"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, state, message) -> None:
    torch.save(state, tmp_path / "RMoE.pth")
    with pytest.raises(CheckpointError, match=message) as caught:
        load_reference(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_truncated_file_is_refused(tmp_path) -> None:
    torch.save({"weight": torch.zeros(1000)}, tmp_path / "RMoE.pth")
    content = (tmp_path / "RMoE.pth").read_bytes()
    (tmp_path / "RMoE.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="not a plain PyTorch state dict"):
        load_reference(tmp_path)


def test_other_modalities_have_no_place_in_their_layout() -> None:
    spec = MoMoKSpec(
        num_entities=4,
        num_relations=1,
        modalities=(ModalitySpec(name="structure", width=4, table_width=4),),
        relation_width=4,
        joint_width=4,
    )
    with pytest.raises(
        CheckpointError, match="the authors' layout holds structure, image and text"
    ):
        reference_state(MoMoK(spec))
