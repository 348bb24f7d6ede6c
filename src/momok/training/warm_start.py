"""Training that starts from the model of another run, where the graph has grown or changed since.

Entities and relations are matched by label. What all of them share (maps of features, experts,
decoders, the fusion) is taken as it was, and so are the rows of entities and relations that the
model has; new ones begin as in any training. Where heads learn by softmax, rows are shrunk: they
keep their direction and are soon moved by new facts, where rows at full length kept the old model's
overfitting (after Ash and Adams, On Warm-Starting Neural Network Training, NeurIPS 2020). Where
tables are not mapped, the rows of old entities stay as they were trained, whatever their features
are now. Optimisers begin anew: with what they remembered, rows that have new facts moved too
slowly (docs/your-own-graph.md says what was measured).

Shapes: N entities, R relations, f width of a table.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from momok.arrays import Ints
from momok.errors import ConfigError, DataError, RunError
from momok.graph import MultimodalGraph
from momok.graph.fact_index import UNKNOWN
from momok.graph.names import Vocabulary
from momok.model import MoMoK
from momok.settings import RunConfig
from momok.training.build import STRUCTURE
from momok.training.checkpoint import load_model
from momok.training.new_run import digest
from momok.training.run_folder import RunFolder

_NEW = -1  # in the place of a row of the trained model
_SHRUNK = 0.2  # of 1, 0.5, 0.2 and 0.1 the best on validation, on world and MKG-W
_OF_SIZE = ("num_entities", "num_relations", "score_offset")


def settings_from(start: RunFolder) -> RunConfig:
    """The settings of a run, for another that starts from it: a third of its epochs."""
    config = start.config
    training = config.training
    fewer = {
        "epochs": max(training.epochs // 3, 1),
        "validate_every": max(training.validate_every // 3, 1),
    }
    return config.model_copy(update={"training": training.model_copy(update=fewer)})


def describe_start(start: RunFolder) -> dict[str, str]:
    """What a new run writes down of the one that it starts from.

    Raises:
        RunError: that one is not finished.
    """
    if start.state != "finished":
        raise RunError(
            f"{start.path}: this run is {start.state}; training starts from finished ones: go on "
            f"with momok resume {start.path}"
        )
    return {
        "run": str(start.path.absolute()),
        "checkpoint": digest(start.best_checkpoint.read_bytes()),
    }


def find_start(about: dict[str, Any]) -> RunFolder | None:
    """The run that another, whose ``run.json`` says ``about``, starts from; None for none.

    Raises:
        RunError: it is not there any more, or its checkpoint is another.
    """
    if (given := about.get("start")) is None:
        return None
    start = RunFolder(given["run"])
    if describe_start(start) != given:
        raise RunError(
            f"{start.path}: this run was to be started from its checkpoint, which has changed "
            "since; start a new run"
        )
    return start


def take_over(model: MoMoK, graph: MultimodalGraph, start: RunFolder, reduced: set[str]) -> str:
    """Let a model that was just built continue the best one of another run.

    Args:
        model: on the CPU.
        graph: what it is built for.
        start: the other run.
        reduced: modalities whose features are reduced by components of the graph's own. Those of a
            new entity have no place among the rows of the other: it begins at their mean.

    Returns:
        what is new, in words.

    Raises:
        ConfigError: the models have other parts or widths, or features of other encoders.
        DataError: the graph holds facts out that the other run has learned from, or has nothing in
            common with its graph.
        RunError, CheckpointError: the other run cannot be read.
    """
    before = start.load_graph()
    trained, _ = load_model(start.best_checkpoint, run=start.identity)
    _compare(start.path, trained, model)
    _compare_encoders(start, graph, model.modalities)
    entities = _match(graph.entities, before.entities)
    relations = _match(graph.relations, before.relations)
    if (entities == _NEW).all():
        raise DataError(f"{start.path}: its graph has no entity of {graph.name!r} by its label")
    _check_held_out(graph, before, entities, relations, start.path)
    reciprocals = np.where(relations == _NEW, _NEW, relations + before.num_relations)
    both = np.concatenate([relations, reciprocals])
    length = _SHRUNK if model.spec.softmax else 1.0
    with torch.no_grad():
        for name, old in trained.state_dict().items():
            now = model.state_dict()[name]
            part, _, rest = name.partition(".")
            if part in ("relations", "temperature"):
                _place(now, old * (length if part == "relations" else 1.0), both, 0)
            elif part == "tables" and rest.endswith("weight"):
                given = model.spec.modalities[int(rest.split(".")[0])]
                free = given.mapped or given.name == STRUCTURE  # else rows begin as features
                rows = old * (length if free else 1.0)
                _place(now, rows, entities, -2)
                if given.name in reduced:
                    is_new = torch.from_numpy(entities == _NEW)
                    now[..., is_new, :] = rows.mean(dim=-2, keepdim=True)
            elif part != "tables" or rest.endswith("projection"):
                now.copy_(old)
        for name, table in model.tables_by_name.items():
            if table.spec.mapped:  # features count from where they did, or every row would move
                mean = trained.tables_by_name[name].mean
                table.features += (table.mean - mean) * table.present.unsqueeze(1)
                table.mean.copy_(mean)
    new = int((entities == _NEW).sum()), int((relations == _NEW).sum())
    return f"new entities: {new[0]:,}, new relations: {new[1]:,}"


def _check_held_out(
    graph: MultimodalGraph, before: MultimodalGraph, entities: Ints, relations: Ints, path: Path
) -> None:
    """DataError where valid or test has facts that the trained model has learned from."""
    for split in ("valid", "test"):
        heads, kinds, tails = graph.facts(split).T
        known = entities[heads], relations[kinds], entities[tails]
        old = np.stack(known, axis=1)
        old = old[(old != _NEW).all(axis=1)]
        seen = before.train_index.find_rows(*old.T) != UNKNOWN
        if seen.any():
            raise DataError(
                f"{int(seen.sum()):,} of the {len(heads):,} {split} facts of {graph.name!r} are "
                f"train facts of {path}: a model that starts from it has seen what it would be "
                f"judged on. Keep its split (momok data build --train FILE --valid "
                f"{path}/graph/valid.tsv --test {path}/graph/test.tsv), or train anew"
            )


def _compare_encoders(start: RunFolder, graph: MultimodalGraph, modalities: Iterable[str]) -> None:
    """ConfigError where features come from another encoder than those that were trained on."""
    before = start.data.get("features", {})
    for name in modalities:
        if name in graph.features and name in before:
            now = graph.features[name].manifest.encoder
            if now != before[name]["encoder"]:
                raise ConfigError(
                    f"{start.path}: it was trained on {name} features of "
                    f"{before[name]['encoder']!r}, and those of {graph.name!r} are of {now!r}; "
                    "encode them alike"
                )


def _match(now: Vocabulary, before: Vocabulary) -> Ints:
    return np.array([before.ids.get(label, _NEW) for label in now.labels], dtype=np.int64)


def _place(now: Tensor, old: Tensor, rows: Ints, axis: int) -> None:
    """Put the rows of ``old`` that ``rows`` names where they belong in ``now``."""
    known = np.flatnonzero(rows != _NEW)
    to, of = torch.from_numpy(known), torch.from_numpy(rows[known])
    if axis == 0:
        now[to] = old[of]
    else:
        now[..., to, :] = old[..., of, :]


def _compare(path: Path, trained: MoMoK, model: MoMoK) -> None:
    """ConfigError where the models differ in more than the sizes of their graphs."""
    before, now = asdict(trained.spec), asdict(model.spec)
    for key, value in now.items():
        if key not in _OF_SIZE and before[key] != value:
            raise ConfigError(
                f"{path}: its model has {key} = {_describe(before[key])}, and this one "
                f"{_describe(value)}; training starts from a model of the same parts and widths: "
                "leave these settings as they were there, and give the graph the same features"
            )


def _describe(value: Any) -> str:
    """A setting of a model, modalities by name and width."""
    if isinstance(value, tuple | list) and value and isinstance(value[0], dict):
        return ", ".join(f"{m['name']} ({m['table_width']} numbers)" for m in value)
    return str(value)
