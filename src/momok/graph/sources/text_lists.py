"""Texts beside the facts as KG-BERT, SimKGC and MKGformer have them: a label, a tab and a text."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from momok.graph.lines import read_lines
from momok.graph.names import flatten
from momok.graph.sources.raw import RawGraph


def add_text_lists(raw: RawGraph, folder: Path) -> RawGraph:
    """Add names, descriptions and names of relations from the files that are in the folder.

    Raises:
        FormatError: a file is not UTF-8.
    """
    names = _read(folder / "entity2text.txt", raw.entities)
    long = _read(folder / "entity2textlong.txt", raw.entities)
    kinds = _read(folder / "relation2text.txt", raw.relations)
    notes = [
        f"{folder}: texts for {len(found):,} {what}"
        for found, what in ((names, "names"), (long, "descriptions"), (kinds, "relations"))
        if found
    ]
    return replace(
        raw,
        names={**raw.names, **names},
        descriptions={**raw.descriptions, **long},
        relation_names={**raw.relation_names, **kinds},
        notes=[*raw.notes, *notes],
    )


def _read(path: Path, labels: list[str]) -> dict[str, str]:
    """Read the texts of labels that are known; a file that is not there has none."""
    if not path.is_file():
        return {}
    known = set(labels)
    pairs = (line.partition("\t") for line in read_lines(path))
    texts = {label.strip(): flatten(text).strip() for label, _, text in pairs}
    return {label: text for label, text in texts.items() if text and label in known}


def is_list_of_labels(path: Path) -> bool:
    """Tell a list of labels, one a line, which says nothing of the entities, from a table."""
    if path.suffix != ".txt" or not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as file:
        return not any(
            re.search("[\t,;|]", line) for line, _ in zip(file, range(100), strict=False)
        )
