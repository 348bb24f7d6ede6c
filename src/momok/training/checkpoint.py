"""Checkpoints: one safetensors file each, written whole or not at all, never a pickle.

Tensors are named ``model/...``, ``optimizer/<parameter>/<state>``, ``clubs/...`` and so on; what
is no tensor is JSON in the file's header, under one key: safetensors writes several in a random
order, and one run with one seed has the same bytes. The header has checksums of every tensor and of
the state, and says which run it is of: neither a disk that has lost a few bytes nor the file of
another run must answer questions.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from momok.errors import CheckpointError, StorageError
from momok.model import DECODERS, FUSIONS, MissingPolicy, ModalitySpec, MoMoK, MoMoKSpec
from momok.model.without_storage import without_storage
from momok.shard import Shard
from momok.storage import name_draft, parse_json, settle_file, share_file

_KEY, _VERSION = "momok-checkpoint", 1

_TABLE = re.compile(r"(^|/)tables\.\d+\.(weight|features)(/|$)")


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write tensors and a JSON state; the path holds the old file or all of the new one.

    Raises:
        StorageError: the disk refused; the old checkpoint is untouched.
    """
    draft = name_draft(path)
    before = "; the one before is kept" if path.exists() else ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        sums = {name: _checksum(contiguous[name]) for name in sorted(contiguous)}
        try:
            save_file(contiguous, draft, metadata=describe_content(sums, state))
            share_file(draft)
            settle_file(draft)  # a rename must not overtake the content
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except (OSError, SafetensorError, StorageError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StorageError(
            f"{path}: the checkpoint could not be written: {reason}{before}"
        ) from error


def describe_content(sums: Mapping[str, int], state: Mapping[str, Any]) -> dict[str, str]:
    """What the header of a file says beside its tensors: their checksums, and the state."""
    about = {"version": _VERSION, "state": dict(state), "sums": dict(sums)}
    about["state_sum"] = _checksum_state(about["state"])
    return {_KEY: json.dumps(about)}


def read_checkpoint(
    path: Path,
    prefix: str = "",
    device: torch.device | str = "cpu",
    *,
    run: str | None = None,
    shard: Shard | None = None,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors whose names begin with ``prefix`` (cut off) and the JSON state.

    Args:
        path: the file.
        prefix: of the names of the tensors that are read.
        device: where they are wanted.
        run: the identity of the run that it must be of; None for any.
        shard: whose rows of the tables are wanted; None for all.

    Raises:
        CheckpointError: missing, truncated, corrupt, a pickle, of another version or of another
            run; or a tensor or the state is not the one that was written.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; the run has not saved one yet")
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            state, sums = _read_state(path, file.metadata() or {}, run)
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            tensors = {}
            for name in names:
                tensor = file.get_tensor(name)  # of the file's pages, read as they are looked at
                if sums and _checksum(tensor) != sums[name]:
                    raise CheckpointError(
                        f"{path}: {name} is not what was written: the file is damaged. Restore it "
                        "from a copy or train again"
                    )
                if shard is not None and not shard.whole and has_rows(name, tensor.ndim):
                    tensor = tensor[..., shard.first : shard.stop, :].clone()
                tensors[name.removeprefix(prefix)] = tensor
            return tensors, state
    except (RuntimeError, MemoryError) as error:  # PyTorch's own form of a lack of memory
        raise CheckpointError(f"{path}: could not be read: {error}") from error
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a readable checkpoint ({error}): the file is corrupt, truncated or a "
            "pickle; expected safetensors. Restore it from a copy or train again"
        ) from error


def _read_state(
    path: Path, header: Mapping[str, str], run: str | None
) -> tuple[dict[str, Any], dict[str, int]]:
    """The JSON state, and the checksums of the tensors; older checkpoints have none."""
    if _KEY not in header:
        raise CheckpointError(f"{path}: a safetensors file, but no checkpoint of momok")
    about = parse_json(header[_KEY])
    if about["version"] != _VERSION:
        raise CheckpointError(
            f"{path}: checkpoint version {about['version']}, this momok reads {_VERSION}; use the "
            "momok that wrote it"
        )
    state, sums = about["state"], about.get("sums", {})
    if sums and _checksum_state(state) != about["state_sum"]:
        raise CheckpointError(
            f"{path}: its state is not what was written: the file is damaged. Restore it from a "
            "copy or train again"
        )
    if run is not None and state.get("run") != run:
        raise CheckpointError(
            f"{path}: it belongs to another run, of other settings or another graph; restore the "
            "run's own file from a copy or train again"
        )
    return state, sums


def _checksum(tensor: Tensor) -> int:
    """The CRC-32 of a tensor's type, shape and bytes."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    begin = zlib.crc32(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    return zlib.crc32(flat.view(torch.uint8).numpy().data, begin) if flat.numel() else begin


def _checksum_state(state: Any) -> int:
    """The CRC-32 of a state as JSON."""
    return zlib.crc32(json.dumps(state, sort_keys=True).encode())


def model_tensors(model: MoMoK) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """A model as checkpoint tensors and the state that builds it empty."""
    tensors = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    return tensors, {"model": asdict(model.spec)}


def load_model(
    path: Path,
    device: torch.device | str = "cpu",
    *,
    run: str | None = None,
    shard: Shard | None = None,
) -> tuple[MoMoK, dict[str, Any]]:
    """Build the model of a checkpoint, or a rank's part of it, in evaluation mode.

    The JSON state comes with it.

    Raises:
        CheckpointError: as ``read_checkpoint``; also when tensors and sizes disagree.
    """
    tensors, state = read_checkpoint(path, "model/", device, run=run, shard=shard)
    try:
        model = _empty_model(state["model"], tensors, shard)
        model.load_state_dict(tensors, assign=True)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (KeyError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{path}: its tensors do not fit its sizes ({first})") from error
    return model.eval(), state


def has_rows(name: str, dimensions: int) -> bool:
    """Whether a tensor of a checkpoint has a row per entity: each rank has its own."""
    return dimensions >= 2 and _TABLE.search(name) is not None


def _empty_model(spec: dict[str, Any], tensors: Mapping[str, Tensor], shard: Shard | None) -> MoMoK:
    """A model on the meta device: it has shapes and takes its tensors from the file."""
    if any(modality["missing"] not in get_args(MissingPolicy) for modality in spec["modalities"]):
        raise CheckpointError(
            "its model leaves out missing features (masked) or learns a vector for them (learned), "
            "which momok 0.1.0 reads and this version does not"
        )
    for part, known in (("decoder", DECODERS), ("fusion", FUSIONS)):
        if part in spec and spec[part] not in known:
            raise CheckpointError(
                f"its model has the {part} {spec[part]!r}, which is none of {', '.join(known)}; "
                "import the module that adds it first (docs/extending.md)"
            )
    modalities = tuple(ModalitySpec(**modality) for modality in spec["modalities"])
    dropouts = tuple(spec["decoder_dropouts"])
    sizes = MoMoKSpec(**{**spec, "modalities": modalities, "decoder_dropouts": dropouts})
    present = {
        modality.name: tensors[f"tables.{m}.present"] for m, modality in enumerate(modalities)
    }
    with without_storage():
        return MoMoK(sizes, present=present, shard=shard)
