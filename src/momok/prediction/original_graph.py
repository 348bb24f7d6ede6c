"""The graph that a run was trained on, found again for its features and pictures.

A run folder holds labels, names and facts; features and pictures stay where the graph is. A run
records that place and the graph's fingerprint (labels, facts and features; pictures are not in
it). What is not there any more is said, and is no error: nothing here is needed to predict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from momok.errors import MomokError
from momok.graph import Features, MultimodalGraph, load_graph
from momok.prediction.explanation import SourceState, SourceStatus
from momok.training import RunFolder


@dataclass(frozen=True, kw_only=True, eq=False)
class GraphSource:
    """What is left of the graph that a run was trained on, by the ids of the run.

    There are no features unless the graph is as it was.
    """

    state: SourceState
    features: Mapping[str, Features] = field(default_factory=dict)
    pictures: Mapping[int, Path] = field(default_factory=dict)


def find_source(
    run: RunFolder, graph: MultimodalGraph, moved_to: str | Path | None = None
) -> GraphSource:
    """Look for the graph of a run, where the run says or where it has ``moved_to``; never fails."""
    try:
        data = run.data
    except MomokError as error:
        return _without("missing", "", f"the run does not say where its graph is: {error}")
    place = str(moved_to or data["source"])
    if graph.features and moved_to is None and graph.fingerprint() == data["fingerprint"]:
        state = SourceState(status="found", location=str(run.path / "graph"), remark="")
        return GraphSource(state=state, features=graph.features)  # of a run given away
    if not place:
        return _without("memory", "", "the graph was made in memory, so it has no folder")
    try:
        found = load_graph(place, split=data["split"])
        same = found.entities.labels == graph.entities.labels
        if same:  # the run's own facts: reviewed ones may be among them
            same = replace(graph, features=found.features).fingerprint() == data["fingerprint"]
    except (MomokError, OSError, ValueError) as error:
        return _without("missing", place, f"the graph of this run cannot be read: {error}")
    if same:
        state = SourceState(status="found", location=place, remark="")
        return GraphSource(state=state, features=found.features, pictures=found.pictures)
    ids, labels = graph.entities.ids, found.entities.labels
    pictures = {ids[labels[i]]: path for i, path in found.pictures.items() if labels[i] in ids}
    remark = (
        f"the graph at {place} is not the one the run was trained on (its fingerprint differs): "
        "its features are not used, its pictures are shown by label"
    )
    state = SourceState(status="changed", location=place, remark=remark)
    return GraphSource(state=state, pictures=pictures)


def _without(status: SourceStatus, place: str, remark: str) -> GraphSource:
    return GraphSource(state=SourceState(status=status, location=place, remark=remark))
