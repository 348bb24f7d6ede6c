"""What a new run folder begins with, written before training."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from momok.errors import RunError
from momok.graph import CATALOG, MultimodalGraph, write_momok_folder
from momok.settings import RunConfig
from momok.storage import check_path, is_draft, lock_file, seal, write_file, write_json

FORMAT, VERSION = "momok-run", 1
RUNS = Path("runs")  # where run folders go unless told otherwise

_SUMMED = re.compile(
    r"(config|data|environment)\.json|(metrics|timing)\.jsonl|graph/[a-z]+\.(tsv|json)"
)

_BEGINNING = (
    *(".lock", "graph", "config.json", "environment.json", "data.json"),
    *("metrics.jsonl", "timing.jsonl"),
)


def check_free(path: str | Path) -> None:
    """Check that a run can be made here: nothing, an empty folder, or what a process that was
    killed meanwhile has left.

    Raises:
        RunError: it cannot.
    """
    folder = check_path(path, "run")
    if (folder / "run.json").exists():
        raise RunError(
            f"{folder}: exists already; resume it (momok resume {folder}) or choose another "
            "folder with --run"
        )
    if folder.exists() and not (folder.is_dir() and all(map(_is_begun, folder.iterdir()))):
        raise RunError(
            f"{folder}: exists already, and is neither empty nor a run; choose another folder "
            "with --run"
        )


def choose_path(name: str) -> Path:
    """A new run folder for a graph of this name: ``runs/GRAPH-TIME``."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    word = re.sub(r"[^\w.-]+", "-", name.lower()).strip(".-")[:60]  # a name is not a path
    path = RUNS / f"{word or 'graph'}-{stamp}"
    number = 2
    while path.exists():
        path = RUNS / f"{word or 'graph'}-{stamp}-{number}"
        number += 1
    return path


def write_new_run(
    folder: Path,
    graph: MultimodalGraph,
    config: RunConfig,
    environment: Mapping[str, Any],
    start: Mapping[str, str] | None = None,
) -> None:
    """Make a run folder with what is known before training; see ``RunFolder.create``."""
    check_free(folder)
    existed = folder.exists()
    try:
        with lock_file(folder / ".lock") as held:
            if not held:
                raise RunError(
                    f"{folder}: another process is making a run here; choose another folder "
                    "with --run"
                )
            _clear(folder)
            _write_beginning(folder, graph, config, environment, start)
    except RunError:
        raise
    except BaseException:
        if folder.is_dir():
            _clear(folder)
            (folder / ".lock").unlink(missing_ok=True)
            if not existed:
                folder.rmdir()
        raise


def _is_begun(path: Path) -> bool:
    """Whether a file or folder is of those that are written before ``run.json``, or a draft."""
    return path.name in _BEGINNING or is_draft(path)


def _clear(folder: Path) -> None:
    """Remove all but the lock."""
    for part in folder.iterdir():
        if part.is_dir():
            shutil.rmtree(part)
        elif part.name != ".lock":
            part.unlink()


def _write_beginning(
    folder: Path,
    graph: MultimodalGraph,
    config: RunConfig,
    environment: Mapping[str, Any],
    start: Mapping[str, str] | None,
) -> None:
    """``run.json`` last, it makes the folder a run."""
    write_momok_folder(graph, folder / "graph", with_features=False)
    write_json(folder / "config.json", config.model_dump(mode="json"))
    write_json(folder / "environment.json", environment)
    write_json(folder / "data.json", _describe_data(graph))
    names = ["config.json", "data.json", "environment.json"]
    names += sorted(f"graph/{path.name}" for path in (folder / "graph").iterdir())
    files = {name: digest((folder / name).read_bytes()) for name in names}
    decided = config.model_dump(mode="json", exclude={"training": {"track"}})
    identity = f"{json.dumps(decided)} {graph.fingerprint()}"
    if start is not None:
        identity += f" {start['checkpoint']}"
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
        **({} if start is None else {"start": dict(start)}),
    }
    write_json(folder / "run.json", seal(about))


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


def check_sums(folder: Path, sums: Any) -> dict[str, str]:
    """The checksums of ``run.json``: a folder from strangers may name files outside of it."""
    if not isinstance(sums, dict) or not all(
        _SUMMED.fullmatch(name) and isinstance(sum_of, str) for name, sum_of in sums.items()
    ):
        raise RunError(
            f"{folder / 'run.json'}: its checksums are of other files than those of a run; it is "
            "damaged or not to be trusted"
        )
    return sums
