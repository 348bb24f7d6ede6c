"""What wandb wrote offline: records of protobuf in the log format of LevelDB, behind 7 bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_BLOCK, _HEADER = 32768, 7
_LAST = {1, 4}  # kinds of pieces that end a record: the whole of it, or its last piece


def read_records(file: Path) -> Iterator[Any]:
    """Every record of a file ``run-ID.wandb``."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, record = file.read_bytes(), _HEADER, b""
    assert content[:4] == b":W&B"
    while place + _HEADER <= len(content):
        left = _BLOCK - place % _BLOCK
        if left < _HEADER:  # filled up with zeros
            place += left
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        if place + _HEADER + length > len(content):
            return  # it is being written
        record += content[place + _HEADER : place + _HEADER + length]
        place += _HEADER + length
        if kind in _LAST:
            yield Record.FromString(record)
            record = b""


def read_items(items: Any) -> dict[str, Any]:
    """Values by name."""
    return {"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}
