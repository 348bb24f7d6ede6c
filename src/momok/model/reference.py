"""Reads and writes checkpoints in the naming of the authors' implementation.

Their layout (github.com/zjukg/MoMoK): ``structure_moe``, ``visual_moe`` and ``text_moe`` are the
expert banks, ``TuckER_S``, ``_I``, ``_D`` and ``_MM`` the decoders, ``fuse_e`` and ``fuse_r`` the
fusions of entities and relations, ``rel_gate`` the temperatures. ``mm_moe`` and ``bias`` are in
their files and never used. Only tensors are read (``weights_only``): a pickle that would run code
is refused.
"""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from momok.errors import CheckpointError
from momok.model.disentanglement import ClubNetworks
from momok.model.momok import MoMoK
from momok.model.spec import MoMoKSpec
from momok.model.tables import ModalitySpec

MODALITIES = ("structure", "image", "text")
_MODEL_FILE, _CLUB_FILE = "RMoE.pth", "MIEstimator.pth"
_TABLES = ("", "img_", "txt_")
_BANKS = ("structure_moe", "visual_moe", "text_moe")
_DECODERS = ("TuckER_S", "TuckER_I", "TuckER_D", "TuckER_MM")
_CLUBS = ("str_estimator", "img_estimator", "txt_estimator")
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def load_reference(path: str | Path) -> MoMoK:
    """Build a model from the authors' checkpoint, in evaluation mode.

    Args:
        path: a ``.pth`` file with the model's state dict, or the folder that holds ``RMoE.pth``.

    Raises:
        CheckpointError: the file is missing, is no plain state dict or lacks a tensor.
    """
    source = Path(path) / _MODEL_FILE if Path(path).is_dir() else Path(path)
    state = _read_state(source)
    try:
        model = MoMoK(_spec(state))
        _copy(model.state_dict(), state, _model_names(model), source)
    except KeyError as error:
        raise CheckpointError(
            f"{source}: no tensor {error}: this is not a MoMoK checkpoint of the authors' code"
        ) from error
    except (ValueError, IndexError) as error:
        raise CheckpointError(f"{source}: a tensor has the wrong number of axes") from error
    return model.eval()


def load_reference_clubs(path: str | Path, model: MoMoK) -> ClubNetworks:
    """Build the CLUB networks of ``model`` from the authors' ``MIEstimator.pth`` (or its folder).

    Raises:
        CheckpointError: as ``load_reference``.
    """
    source = Path(path) / _CLUB_FILE if Path(path).is_dir() else Path(path)
    state = _read_state(source)
    clubs = ClubNetworks([modality.width for modality in model.spec.modalities])
    try:
        _copy(clubs.state_dict(), state, _club_names(), source)
    except KeyError as error:
        raise CheckpointError(
            f"{source}: no tensor {error}: these are not CLUB networks"
        ) from error
    return clubs


def reference_state(model: MoMoK) -> dict[str, Tensor]:
    """The model's tensors in the authors' naming, ready for ``torch.save``.

    Raises:
        CheckpointError: the model has not the modalities structure, image and text, or has a
            part that the authors' layout cannot hold.
    """
    spec = model.spec
    if (
        model.modalities != MODALITIES
        or spec.branches != 2
        or not (spec.joint_width and spec.gate_noise and spec.relation_temperature)
        or any(m.table_width != m.width for m in spec.modalities)
        or spec.score_offset
        or not spec.experts
        or (spec.decoder, spec.fusion, spec.modality_heads) != ("tucker", "mujod", True)
    ):
        raise CheckpointError(
            "the authors' layout holds structure, image and text, each with a TuckER head and "
            "experts, a joint head of two branches, noisy gates and relation temperatures, and "
            f"scores without an offset; this model has {model.heads}"
        )
    ours = model.state_dict()
    state = {}
    for name, (theirs, index, transpose) in _model_names(model):
        tensor = ours[name] if index is None else ours[name][index]
        state[theirs] = (tensor.T if transpose else tensor).contiguous().clone()
    state["rel_gate.weight"] = state["rel_gate.weight"].unsqueeze(1)
    state["fuse_e.ent_attn.weight"] = state["fuse_e.ent_attn.weight"].unsqueeze(0)
    state["fuse_r.ent_attn.weight"] = state["fuse_r.ent_attn.weight"].unsqueeze(0)
    width = spec.modalities[0].width
    state["bias"] = torch.zeros(spec.num_entities)
    for gate in ("w_gate", "w_noise"):
        state[f"mm_moe.{gate}"] = torch.zeros(width, spec.experts)
    for k in range(spec.experts):
        state[f"mm_moe.experts.{k}.bias"] = torch.zeros(width)
        state[f"mm_moe.experts.{k}.lin.weight"] = torch.zeros(width, width)
    return state


Place = tuple[str, tuple[int, ...] | None, bool]  # their name, index into ours, transposed?


def _model_names(model: MoMoK) -> Iterator[tuple[str, Place]]:
    """Pairs of (our tensor, where its content stands in the authors' state dict)."""
    spec = model.spec
    for m, (table, bank) in enumerate(zip(_TABLES, _BANKS, strict=True)):
        yield f"tables.{m}.weight", (f"{table}entity_embeddings.weight", None, False)
        yield f"relations.{m}", (f"{table}relation_embeddings.weight", None, False)
        yield f"banks.{m}.gate_weight", (f"{bank}.w_gate", None, False)
        yield f"banks.{m}.noise_weight", (f"{bank}.w_noise", None, False)
        for k in range(spec.experts):
            yield f"banks.{m}.weight", (f"{bank}.experts.{k}.lin.weight", (k,), False)
            yield f"banks.{m}.shift", (f"{bank}.experts.{k}.bias", (k,), False)
    yield "temperature", ("rel_gate.weight", None, False)
    for h, decoder in enumerate(_DECODERS):
        yield f"decoders.{h}.core", (f"{decoder}.W", None, False)
        for ours, theirs in (("input_norm", "bn0"), ("output_norm", "bn1")):
            for part in _NORM:
                yield f"decoders.{h}.{ours}.{part}", (f"{decoder}.{theirs}.{part}", None, False)
    for ours, theirs in (("entity_fusion", "fuse_e"), ("relation_fusion", "fuse_r")):
        yield f"{ours}.attention", (f"{theirs}.ent_attn.weight", None, False)
        for m in range(len(MODALITIES)):
            for branch in range(spec.branches):
                layer = f"{theirs}.modal{m + 1}_layers.{branch}.1"
                yield f"{ours}.weights.{m}", (f"{layer}.weight", (branch,), True)
                yield f"{ours}.biases.{m}", (f"{layer}.bias", (branch,), False)


def _club_names() -> Iterator[tuple[str, Place]]:
    for m, theirs in enumerate(_CLUBS):
        for ours, net in (("mean", "p_mu"), ("log_variance", "p_logvar")):
            for layer in (0, 2):
                for part in ("weight", "bias"):
                    name = f"networks.{m}.{ours}.{layer}.{part}"
                    yield name, (f"{theirs}.{net}.{layer}.{part}", None, False)


def _spec(state: dict[str, Tensor]) -> MoMoKSpec:
    """The sizes, read off the tensors' shapes."""
    entities, _ = state["entity_embeddings.weight"].shape
    relations, relation_width = state["relation_embeddings.weight"].shape
    widths = [state[f"{table}entity_embeddings.weight"].shape[1] for table in _TABLES]
    experts = state["structure_moe.w_gate"].shape[1]
    return MoMoKSpec(
        num_entities=entities,
        num_relations=relations // 2,
        modalities=tuple(
            ModalitySpec(name=name, width=width, table_width=width)
            for name, width in zip(MODALITIES, widths, strict=True)
        ),
        relation_width=relation_width,
        joint_width=state["fuse_e.ent_attn.weight"].shape[1],
        experts=experts,
    )


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of odd pickles before it refuses them
            state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"{path}: not a plain PyTorch state dict ({type(error).__name__}); files that hold "
            "more than tensors are refused because loading them would run their code"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise CheckpointError(f"{path}: expected a dict of tensors, found {type(state).__name__}")
    return state


def _copy(
    ours: dict[str, Tensor],
    theirs: dict[str, Tensor],
    names: Iterable[tuple[str, Place]],
    path: Path,
) -> None:
    """Fill our tensors in place; a state dict's tensors share memory with the parameters."""
    for name, (source, index, transpose) in names:
        target = ours[name] if index is None else ours[name][index]
        value = theirs[source].T if transpose else theirs[source]
        if value.numel() != target.numel():
            raise CheckpointError(
                f"{path}: {source} has shape {tuple(value.shape)}, "
                f"{tuple(target.shape)} was expected from the other tensors"
            )
        target.copy_(value.reshape(target.shape))
