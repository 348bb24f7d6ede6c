"""Reads whatever a user has: files, folders, named graphs, and what lies beside them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from momok.errors import DataError
from momok.graph.catalog import find_entry, find_folder
from momok.graph.graph import SPLIT_NAMES, SplitName
from momok.graph.names import flatten
from momok.graph.sources.columns import count_known_names
from momok.graph.sources.compressed import is_container
from momok.graph.sources.entity_table import add_entity_table
from momok.graph.sources.extra_columns import settle_weights
from momok.graph.sources.fact_tables import read_table
from momok.graph.sources.formats import (
    ENTITIES,
    FACTS,
    FOLDER_FORMATS,
    detect_format,
    find_named,
    find_pictures,
    find_split_files,
)
from momok.graph.sources.literals import report_literals, take_literals
from momok.graph.sources.pictures import add_picture_folder, keep_inside
from momok.graph.sources.raw import RawGraph, TableOptions, leave_out, merge_sources
from momok.graph.sources.rdf import read_rdf
from momok.graph.sources.rdf_collect import RdfOptions
from momok.graph.sources.sparql import SparqlSource, read_sparql
from momok.graph.text_files import read_lines
from momok.progress import Progress, no_progress

_BLANK = 256  # bytes: a larger file is no empty split
Part = tuple[SplitName | None, RawGraph]


@dataclass(frozen=True, kw_only=True)
class SourceOptions:
    """What to read, and how.

    Attributes:
        splits: files of facts by split, instead of sources or besides them.
        rdf: how to read RDF; its ``strict`` is that of the tables.
        entity_columns: the columns of that table that are the ``key``, ``name`` or ``description``.
        leave_out: relations whose facts are left out.
        literals: relations whose tails are no entities but numbers or texts that their heads have.
    """

    format: str | None = None
    table: TableOptions = field(default_factory=TableOptions)
    splits: Mapping[SplitName, Path] = field(default_factory=dict)
    entities: Path | None = None
    pictures: Path | None = None
    rdf: RdfOptions = field(default_factory=RdfOptions)
    sparql: SparqlSource | None = None
    entity_columns: Mapping[str, str] = field(default_factory=dict)
    leave_out: Sequence[str] = ()
    literals: Sequence[str] = ()


def read_sources(
    sources: Sequence[str | Path],
    options: SourceOptions | None = None,
    *,
    progress: Progress = no_progress,
) -> RawGraph:
    """Read sources as one graph.

    A source is a file of facts, a folder in a known format, or the name of a graph. Beside facts in
    a folder, a table ``entities`` and a folder ``pictures`` are taken without being asked.

    Raises:
        DataError: nothing is there, or it cannot be told what it is.
    """
    options = options or SourceOptions()
    paths = [_locate(source) for source in sources]
    parts: list[Part] = []
    roots: list[Path] = []
    for path in paths:
        parts += _read_source(path, options, progress)
        roots.append(path if path.is_dir() else path.parent)
    for split in SPLIT_NAMES:
        if split in options.splits:
            path = options.splits[split]
            parts.append((split, read_facts_file(path, options, progress, split=split)))
            roots.append(path.parent)
    if options.sparql is not None:
        rdf = replace(options.rdf, strict=options.table.strict)
        parts.append((None, read_sparql(options.sparql, options=rdf, progress=progress)))
    if not parts:
        raise DataError("there is nothing to build from: name a file or folder, or give --train")
    progress("merging", 0, 0)
    raw = leave_out(merge_sources(parts), options.leave_out)
    raw = report_literals(take_literals(raw, options.literals))
    for path in paths:
        raw = add_text_lists(raw, path)
    entities, pictures = _find_beside(paths, options)
    if entities is not None:
        progress(f"reading {entities.name}", 0, 0)
        raw = add_entity_table(
            raw,
            entities,
            chosen=options.entity_columns,
            encoding=options.table.encoding,
            strict=options.table.strict,
        )
        roots.append(entities.parent)
    if pictures is not None:
        progress(f"looking at {pictures.name}", 0, 0)
        raw = add_picture_folder(raw, pictures)
        roots.append(pictures)
    return keep_inside(raw, roots)


def _locate(source: str | Path) -> Path:
    path = Path(source).expanduser()
    entry = find_entry(source) if isinstance(source, str) and not path.exists() else None
    found = find_folder(entry) if entry else None
    return found or path


def _find_beside(paths: Sequence[Path], options: SourceOptions) -> tuple[Path | None, Path | None]:
    """Find the table of entities and the pictures: those given, or those in the folder."""
    entities, pictures = options.entities, options.pictures
    if len(paths) == 1 and is_container(paths[0]) and (options.format or "splits") == "splits":
        kind, _ = detect_format(paths[0])
        if kind == "splits":
            beside = find_named(paths[0], ENTITIES)
            if entities is None and beside is not None and not is_list_of_labels(beside):
                entities = beside
            pictures = pictures or find_pictures(paths[0])
    return entities, pictures


def _read_source(path: Path, options: SourceOptions, progress: Progress) -> list[Part]:
    if not is_container(path):
        return [(None, read_facts_file(path, options, progress))]
    kind, why = (options.format, "as said") if options.format else detect_format(path)
    progress(f"reading {path.name}", 0, 0)
    note = f"{path}: {why}"
    if kind == "splits":
        files: list[tuple[SplitName | None, Path]] = [*find_split_files(path).items()]
        if not files and (facts := find_named(path, FACTS)):
            files = [(None, facts)]
        empty = [f for split, f in files if split != "train" and f.is_file() and _is_blank(f)]
        note += "".join(f"; {file.name} is empty and left out" for file in empty)
        files = [(split, file) for split, file in files if file not in empty]
        parts = [
            (split, read_facts_file(file, options, progress, split=split)) for split, file in files
        ]
        if not parts:
            raise DataError(
                f"{path}: has no facts: expected files named train, valid and test, or one of facts"
            )
    else:
        if kind not in FOLDER_FORMATS:
            raise DataError(f"{path}: is a folder; the format {kind} is that of a file")
        raw = FOLDER_FORMATS[kind].read(path, strict=options.table.strict)
        parts = [(None, settle_weights(raw, path, options.table))]
    first, raw = parts[0]
    return [(first, replace(raw, notes=[note, *raw.notes])), *parts[1:]]


def _is_blank(path: Path) -> bool:
    """Tell a file that has nothing, or a header and nothing else."""
    if path.stat().st_size > _BLANK:
        return False
    text = path.read_text("utf-8", errors="replace").strip()
    return not text or ("\n" not in text and count_known_names(re.split("[\t,;|]", text)) == 3)


def read_facts_file(
    path: Path,
    options: SourceOptions,
    progress: Progress = no_progress,
    *,
    split: SplitName | None = None,
) -> RawGraph:
    """Read one file of facts, of a split or of none."""
    kind, _ = detect_format(path)
    kind = options.format if options.format not in (None, "splits") else kind
    progress(f"reading {path.name}", 0, 0)
    if kind == "table":
        return read_table(path, replace(options.table, held_out=split in ("valid", "test")))
    if kind == "rdf":
        rdf = replace(options.rdf, strict=options.table.strict)
        return settle_weights(read_rdf(path, options=rdf, progress=progress), path, options.table)
    raise DataError(f"{path}: is a file; the format {kind} is that of a folder")


def add_text_lists(raw: RawGraph, folder: Path) -> RawGraph:
    """Add names, descriptions and names of relations as KG-BERT, SimKGC and MKGformer have them.

    Each of the three files has lines of a label, a tab and a text.
    """
    names = _read_texts(folder / "entity2text.txt", raw.entities)
    long = _read_texts(folder / "entity2textlong.txt", raw.entities)
    kinds = _read_texts(folder / "relation2text.txt", raw.relations)
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


def _read_texts(path: Path, labels: list[str]) -> dict[str, str]:
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
