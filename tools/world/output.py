"""Writes the graph in momok's folder format (version 1), the same bytes for the same content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from world.model import RELATIONS, Entity, Fact

COLUMNS = ("label", "name", "description", "picture", "type", "native_name")


def write_entities(path: Path, entities: list[Entity], pictures: dict[str, str]) -> None:
    """`entities.tsv`; `pictures`: label -> file name below `pictures/`."""
    rows = ["\t".join(COLUMNS)]
    for entity in entities:
        picture = f"pictures/{pictures[entity.label]}" if entity.label in pictures else ""
        native = entity.native_names[0] if entity.native_names else ""
        row = (entity.label, entity.name, " · ".join(entity.texts), picture, entity.type, native)
        assert not any("\t" in cell or "\n" in cell for cell in row), row
        rows.append("\t".join(row))
    _write_lines(path, rows)


def write_relations(path: Path) -> None:
    """`relations.tsv`."""
    _write_lines(path, ["label\tname", *(f"{label}\t{n}" for label, n in RELATIONS.items())])


def write_split(folder: Path, split: dict[str, list[Fact]]) -> None:
    """`train.tsv`, `valid.tsv`, `test.tsv`."""
    for name, facts in split.items():
        _write_lines(folder / f"{name}.tsv", [f"{f.head}\t{f.relation}\t{f.tail}" for f in facts])


def write_features(
    folder: Path,
    modality: str,
    labels: list[str],
    matrix: NDArray[np.float32],
    manifest: dict[str, Any],
) -> None:
    """One modality: float16 vectors, the presence mask, and the manifest that names the rows."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors: dict[str, NDArray[Any]] = {
        "present": np.ones(len(labels), dtype=np.uint8),
        "vectors": matrix.astype(np.float16),
    }
    path = folder / f"{modality}.safetensors"
    save_file(tensors, str(path))
    path.chmod(0o644)  # safetensors writes for the owner alone; the wheel is for everyone
    full = {
        "format": "momok-features",
        "version": 1,
        "modality": modality,
        **manifest,
        "width": int(matrix.shape[1]),
        "labels": labels,
    }
    write_json(folder / f"{modality}.json", full)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """JSON with one key a line; lists stay on one line each."""
    lines = [f"  {json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in content.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8", newline="\n")


def _write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")
