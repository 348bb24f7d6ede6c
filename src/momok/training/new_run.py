"""What a new run folder begins with, written before training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from momok.graph import CATALOG, MultimodalGraph, write_momok_folder
from momok.settings import RunConfig
from momok.storage import is_draft, write_file

FORMAT, VERSION = "momok-run", 1


_BEGINNING = (
    *(".lock", "graph", "config.json", "environment.json", "data.json"),
    *("metrics.jsonl", "timing.jsonl"),
)


def is_begun(path: Path) -> bool:
    """Whether a file or folder is of those that are written before ``run.json``, or a draft."""
    return path.name in _BEGINNING or is_draft(path)


def write_new_run(
    folder: Path, graph: MultimodalGraph, config: RunConfig, environment: Mapping[str, Any]
) -> None:
    """Write what is known before training; ``run.json`` last, it makes the folder a run."""
    write_momok_folder(graph, folder / "graph", with_features=False)
    write_json(folder / "config.json", config.model_dump(mode="json"))
    write_json(folder / "environment.json", environment)
    write_json(folder / "data.json", _describe_data(graph))
    names = ["config.json", "data.json"]
    names += sorted(f"graph/{path.name}" for path in (folder / "graph").iterdir())
    files = {name: digest((folder / name).read_bytes()) for name in names}
    identity = f"{files['config.json']} {graph.fingerprint()}"
    write_file(folder / "metrics.jsonl", b"")
    write_file(folder / "timing.jsonl", b"")
    about = {
        "format": FORMAT,
        "version": VERSION,
        "momok": version("momok"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "state": "training",
        "identity": digest(identity.encode())[:16],
        "files": files,
    }
    write_json(folder / "run.json", about)


def _locate_source(source: str) -> str:
    """A folder as an absolute path, so that a run can be resumed from anywhere; else a name."""
    is_name = not source or source in {entry.name for entry in CATALOG}
    return source if is_name else str(Path(source).absolute())


def _describe_data(graph: MultimodalGraph) -> dict[str, Any]:
    return {
        "name": graph.name,
        "source": _locate_source(graph.source),
        "fingerprint": graph.fingerprint(),
        "split": graph.split,
        "split_notes": list(graph.split_notes),
        "entities": graph.num_entities,
        "relations": graph.num_relations,
        "facts": {"train": len(graph.train), "valid": len(graph.valid), "test": len(graph.test)},
        "features": {
            name: {
                "width": int(features.matrix.shape[1]),
                "present": int(features.present.sum()),
                "encoder": features.manifest.encoder,
            }
            for name, features in graph.features.items()
        },
        "findings": [asdict(finding) for finding in graph.findings],
    }


def digest(content: bytes) -> str:
    """The SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file, whole or not at all; the same values give the same bytes."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_file(path, text.encode() + b"\n")
