"""A finished run as a folder to give away: what predictions need, and a model card.

It is a run folder like any other, so every command takes it. Left out are the state that training
resumes from and the paths of this machine; added are the features of its graph, which new entities
are encoded by, and ``README.md``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from momok.errors import MomokError, RunError
from momok.graph import CATALOG, Features, MultimodalGraph, load_graph
from momok.graph.features import save_features
from momok.sharing.card import build_card
from momok.storage import check_path, seal, write_file, write_folder, write_json
from momok.training import RunFolder
from momok.training.checkpoint import load_model
from momok.training.new_run import digest
from momok.training.pooling import load_pool

_LOGS = ("metrics.jsonl", "timing.jsonl")
_FILES = ("config.json", "environment.json", *_LOGS)


def save_pretrained(
    run: RunFolder | str | Path, folder: str | Path, *, name: str = "", licence: str = ""
) -> Path:
    """Write a finished run into a folder for others, with a model card.

    Args:
        run: a run folder or its path.
        folder: where to; it appears once all of it is written.
        name: what the card calls the model; by default as the folder.
        licence: under which the model is given away, as hubs abbreviate it (``apache-2.0``).

    Returns:
        the folder.

    Raises:
        RunError: the run is not finished or damaged.
        DataError: the folder exists and is not empty.
        StorageError: the disk refused; nothing is left behind.
    """
    given = run if isinstance(run, RunFolder) else RunFolder(run)
    if given.state != "finished":
        raise RunError(
            f"{given.path}: this run is {given.state}, and only finished ones are given away; go "
            f"on with momok resume {given.path}"
        )
    graph, path = given.load_graph(), check_path(folder, "folder").resolve()
    _check_whole(given, graph)
    needed = [given.best_checkpoint]
    if given.config.evaluation.pool != "equal":
        needed += [given.pool_file]
    if given.config.evaluation.pool == "heads+rules":
        needed += [given.rules_file]
    features = _find_features(given, graph)
    card = build_card(given, name or path.name, licence, with_features=bool(features))
    with write_folder(path) as draft:
        for file_name in _FILES:
            shutil.copy(given.path / file_name, draft / file_name)
        for part in ("graph", "results"):
            shutil.copytree(given.path / part, draft / part)
        (draft / "checkpoints").mkdir()
        for checkpoint in needed:
            shutil.copy(checkpoint, draft / "checkpoints" / checkpoint.name)
        for own in features.values():
            save_features(draft / "graph" / "features", own, graph.entities)
        _write_records(given, draft)
        write_file(draft / "README.md", card.encode())
    return Path(folder)


def _check_whole(run: RunFolder, graph: MultimodalGraph) -> None:
    """Read all that is given away: RunError where it is missing, damaged or of another run."""
    model, state = load_model(run.best_checkpoint, run=run.identity)
    load_pool(run, model, graph, state.get("selected", {}))
    for file in _LOGS:
        list(run.records(file=file))
    _ = run.environment
    for result in sorted((run.path / "results").glob("*.json")):
        value = run.read_result(result.name)
        if result.name == "calibration.json" and "outputs" not in value:
            raise RunError(
                f"{result}: not a calibration; momok calibrate {run.path} makes it again"
            )
    for split in ("valid", "test"):
        protocol = run.config.evaluation.protocol
        run.load_evaluation(split, protocol)
        result = run.result_path(split, protocol)
        if run.load_ranks(split, protocol) is None and "ranks" in run.read_result(result.name):
            raise RunError(
                f"{result.with_name(result.stem)}-ranks.safetensors: missing; momok evaluate "
                f"{run.path} --split {split} writes it again"
            )


def _find_features(run: RunFolder, graph: MultimodalGraph) -> Mapping[str, Features]:
    """The features that the run was trained on, or none where they are not found any more."""
    if graph.features:
        return graph.features
    data = run.data
    if not data["source"]:
        return {}
    try:
        source = load_graph(data["source"], split=data["split"])
    except (MomokError, OSError, ValueError):
        return {}
    return source.features if source.fingerprint() == data["fingerprint"] else {}


def _write_records(run: RunFolder, draft: Path) -> None:
    """``data.json`` without a path of this machine, and ``run.json`` with its checksum."""
    data = run.data
    known = {entry.name for entry in CATALOG}
    data["source"] = data["source"] if data["source"] in known else ""
    write_json(draft / "data.json", data)
    about = run.read_about()
    if "start" in about:
        about["start"] = {"checkpoint": about["start"]["checkpoint"]}
    if "files" in about:
        about["files"]["data.json"] = digest((draft / "data.json").read_bytes())
    write_json(draft / "run.json", seal(about))
