"""A checkpoint of several ranks: the file that one process would write, written by rank 0.

The rows of a table arrive rank by rank and go into the file as they come, so that no process holds
a table whole. How many ranks there are can be read nowhere in it.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from momok.errors import StorageError
from momok.shard import Shard
from momok.storage import name_draft, settle_file, share_file
from momok.training.checkpoint import describe_content, has_rows, write_checkpoint

_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_LARGEST_SUM = 2**32 - 1


def write_ranks_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any], shard: Shard
) -> None:
    """Write the tensors of all ranks, each of which calls this; else as ``write_checkpoint``.

    Args:
        tensors: of this rank, the same names on all; those of tables have its rows.

    Raises:
        StorageError: the disk refused (on rank 0); the old checkpoint is untouched.
    """
    if shard.whole:
        write_checkpoint(path, tensors, state)
        return
    # the larger numbers first, as safetensors sorts them: nothing needs padding
    names = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    if shard.rank:
        for name in names:
            for _ in _find_pieces(name, tensors[name], shard):
                pass
        return
    shapes = {name: _find_shape(name, tensors[name], shard) for name in names}
    draft = name_draft(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("w+b") as file:
                _write(file, names, tensors=tensors, shapes=shapes, state=state, shard=shard)
            share_file(draft)
            settle_file(draft)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path}: the checkpoint could not be written: {error.strerror or error}"
        ) from error


def _write(
    file: BinaryIO,
    names: list[str],
    *,
    tensors: Mapping[str, Tensor],
    shapes: Mapping[str, tuple[int, ...]],
    state: Mapping[str, Any],
    shard: Shard,
) -> None:
    places, end = {}, 0
    for name in names:
        begin, end = end, end + math.prod(shapes[name]) * tensors[name].element_size()
        places[name] = {
            "dtype": _TYPES[tensors[name].dtype],
            "shape": list(shapes[name]),
            "data_offsets": [begin, end],
        }
    sums = dict.fromkeys(names, _LARGEST_SUM)
    size = len(_make_header(places, sums, state))
    size += -size % 8
    file.seek(8 + size)  # the header is known when the sums are
    for name in names:
        tensor = tensors[name]
        checksum = zlib.crc32(f"{tensor.dtype} {shapes[name]}".encode())
        for piece in _find_pieces(name, tensor, shard):
            flat = piece.detach().cpu().contiguous().reshape(-1)
            content = flat.view(torch.uint8).numpy().data if flat.numel() else b""
            checksum = zlib.crc32(content, checksum)
            file.write(content)
        sums[name] = checksum
    file.seek(0)
    file.write(struct.pack("<Q", size) + _make_header(places, sums, state).ljust(size))
    file.flush()
    os.fsync(file.fileno())


def _make_header(
    places: Mapping[str, Any], sums: Mapping[str, int], state: Mapping[str, Any]
) -> bytes:
    header = {"__metadata__": describe_content(sums, state), **places}
    return json.dumps(header, separators=(",", ":")).encode()


def _find_shape(name: str, tensor: Tensor, shard: Shard) -> tuple[int, ...]:
    shape = tuple(tensor.shape)
    if has_rows(name, tensor.ndim):
        return (*shape[:-2], shard.entities, shape[-1])
    return shape


def _find_pieces(name: str, tensor: Tensor, shard: Shard) -> Iterator[Tensor]:
    """What follows each other in the file, for rank 0."""
    if not has_rows(name, tensor.ndim):
        yield tensor
        return
    for rows in tensor.detach().reshape(-1, *tensor.shape[-2:]):
        yield from shard.collect(rows, 0)
