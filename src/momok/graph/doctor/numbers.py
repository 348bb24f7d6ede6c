"""Numbers of entities that cannot be read, belong to nobody, or never change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from momok.errors import DataError
from momok.graph.doctor.diagnosis import MAX_EXAMPLES, Ailment
from momok.graph.entities_file import NUMBERS_FILE, read_numbers
from momok.graph.graph import MultimodalGraph

__all__ = ["check_numbers"]


def check_numbers(
    folder: Path, graph: MultimodalGraph
) -> tuple[list[Ailment], NDArray[np.bool_] | None]:
    """Examine ``numbers.tsv`` of a folder, and mark the entities ``[N]`` that have any number.

    Without the file, or where it cannot be read, nothing is marked.
    """
    try:
        numbers = read_numbers(folder)
    except DataError as error:
        return [_describe_unreadable(str(error))], None
    if not numbers:
        return [], None
    labels = {label for values in numbers.values() for label in values}
    has = np.array([label in labels for label in graph.entities.labels], dtype=np.bool_)
    return [*_check_labels(labels, graph), *_check_constants(numbers)], has


def _describe_unreadable(said: str) -> Ailment:
    return Ailment(
        check="features",
        kind="unreadable-numbers",
        severity="error",
        count=1,
        unit="files",
        message=said,
        effect="momok encode GRAPH numeric refuses the file",
        impact=1.0,
        remedy=f"mend the line of {NUMBERS_FILE}, or make the graph again with momok data build",
    )


def _check_labels(labels: set[str], graph: MultimodalGraph) -> list[Ailment]:
    unknown = sorted(labels - graph.entities.ids.keys())
    if not unknown:
        return []
    return [
        Ailment(
            check="features",
            kind="unknown-numbers",
            severity="warning",
            count=len(unknown),
            unit="labels",
            total=len(labels),
            message=(
                f"{len(unknown):,} of {len(labels):,} labels in {NUMBERS_FILE} name no entity of "
                f"the graph"
            ),
            effect="their numbers are not used; where labels were changed, entities lost theirs",
            examples=tuple(unknown[:MAX_EXAMPLES]),
            remedy="give the entities the labels that they have in entities.tsv",
        )
    ]


def _check_constants(numbers: Mapping[str, Mapping[str, float]]) -> list[Ailment]:
    constant = [
        name for name, values in numbers.items() if len(values) > 1 and len({*values.values()}) == 1
    ]
    if not constant:
        return []
    return [
        Ailment(
            check="features",
            kind="constant-number",
            severity="note",
            count=len(constant),
            unit="attributes",
            total=len(numbers),
            message=f"{len(constant):,} of {len(numbers):,} attributes have one value throughout",
            effect="they tell no entity from another",
            examples=tuple(
                f"{name} is {next(iter(numbers[name].values())):g}"
                for name in constant[:MAX_EXAMPLES]
            ),
            remedy=f"take them out of {NUMBERS_FILE}",
        )
    ]
