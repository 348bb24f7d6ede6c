"""momok's own folder of a graph, read and written.

It holds::

    graph.json                      {"format": "momok-graph", "version": 1, "name": ...};
                                    "files" has the SHA-256 of the tables as momok wrote them,
                                    "checksum" that of the other values
    entities.tsv                    header: label, name, description, picture, type, any others
    relations.tsv                   optional; header: label, name
    train.tsv valid.tsv test.tsv    head, relation and tail label, no header
    withheld.tsv                    optional; true facts that are no candidates in rankings
    rejected.tsv                    optional; facts that people have said are false
    features/                       see momok.graph.features
    pictures/                       the files that entities.tsv names, "|" between several
    numbers.tsv                     optional, see momok.graph.entities_file
    facts.tsv                       optional; header: head, relation, tail, weight, any others

Columns are separated by tabs and never quoted; only ``label`` is required. Files are UTF-8.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from momok.errors import DataError, FormatError
from momok.graph.entities_file import Table, read_pictures, read_table
from momok.graph.fact_columns import (
    keep_facts,
    label_facts,
    read_fact_columns,
)
from momok.graph.fact_reader import (
    index_facts,
    index_splits,
    list_relations,
    read_facts,
    split_momok_lines,
)
from momok.graph.features import load_all_features, save_features
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph, SplitName
from momok.graph.names import Vocabulary, make_readable
from momok.graph.picture_files import copy_pictures
from momok.graph.text_files import Finding, FindingLog, read_text
from momok.graph.triples import Triples, encode_triples, is_member
from momok.storage import is_sealed, parse_json, seal, write_folder, write_through

FORMAT, VERSION = "momok-graph", 1
FACT_COLUMNS = "facts.tsv"
FURTHER = ("withheld.tsv", "rejected.tsv", FACT_COLUMNS)  # which a folder may have
_BLOCK = 1 << 20  # facts written at once
_TABLE = re.compile(r"[a-z_]+\.tsv")


def is_momok_folder(path: Path) -> bool:
    """Whether a folder is one of momok's own, by its ``graph.json``."""
    return (path / "graph.json").is_file()


def read_momok_folder(
    path: Path, *, strict: bool = False, modalities: bool = True
) -> MultimodalGraph:
    """Read a graph in momok's own format; a split recorded in ``graph.json`` is kept.

    Args:
        path: the folder.
        strict: malformed lines, unknown labels, missing pictures and feature rows of unknown
            entities are errors.
        modalities: read features and find pictures; without, a folder where these do not fit can
            be looked at.

    Raises:
        DataError: a file is missing.
        FormatError: a file does not follow the format, a label is listed twice, a picture lies
            outside the folder, a split is empty, or reading is strict and a line cannot be used.
        FeatureError: features do not fit the entities.
    """
    log = FindingLog(path, strict)
    about = read_graph_json(path)
    _report_changes(path, log)
    table = read_table(path / "entities.tsv")
    entities = Vocabulary(table.labels)
    files = {
        split: read_facts(path / f"{split}.tsv", split_momok_lines, log) for split in SPLIT_NAMES
    }
    listed = path / "relations.tsv"
    relation_table = (
        read_table(listed) if listed.is_file() else Table(list_relations(files.values()), {}, ())
    )
    relations = Vocabulary(relation_table.labels)
    triples = index_splits(files, entities, relations, log)
    further = _read_further(path, entities, relations, triples, log)
    pictures = read_pictures(path, table, log) if modalities else {}
    features = load_all_features(path / "features", entities, log) if modalities else {}
    if "split" in about:
        message = (
            f"graph.json records the split as {about['split']}: its facts are left as they are"
        )
        log.findings.append(Finding("recorded-split", 1, message))
    return MultimodalGraph(
        name=about.get("name") or path.resolve().name,
        entities=entities,
        relations=relations,
        train=triples["train"],
        valid=triples["valid"],
        test=triples["test"],
        **further,
        features=features,
        entity_names=_fill_names(table),
        relation_names=_fill_names(relation_table),
        descriptions=table.column("description"),
        entity_types=table.column("type"),
        attributes=table.others("name", "description", "picture", "type"),
        pictures={row: several[0] for row, several in pictures.items()},
        all_pictures=pictures,
        fact_columns=read_fact_columns(
            path / FACT_COLUMNS,
            (
                label_facts(facts, entities.labels, relations.labels)
                for facts in (*triples.values(), *further.values())
            ),
            log,
        ),
        split=about.get("split", "published"),
        split_notes=tuple(about.get("split_notes", ())),
        findings=tuple(log.findings),
        source=str(path),
        about=about.get("description", ""),
        licence=about.get("licence", ""),
    )


def find_changed_files(folder: Path) -> list[str]:
    """Name the files that are not as momok wrote them, by the checksums in ``graph.json``."""
    about = read_graph_json(folder) if is_momok_folder(folder) else {}
    files = about.get("files", {})
    changed = [name for name, written in files.items() if _digest(folder / name) != written]
    if files:  # older folders have no checksums
        changed += [name for name in FURTHER if name not in files and (folder / name).exists()]
    return ["graph.json"] * (not is_sealed(about)) + changed


def _report_changes(folder: Path, log: FindingLog) -> None:
    changed = find_changed_files(folder)
    log.report(
        "changed",
        "files are not as momok wrote them: somebody changed them, or they are damaged",
        (f"{name}: its checksum is another one" for name in changed),
        len(changed),
    )


def _digest(path: Path) -> str:
    """The SHA-256 of a file; "" where there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_further(
    path: Path,
    entities: Vocabulary,
    relations: Vocabulary,
    triples: Mapping[SplitName, Triples],
    log: FindingLog,
) -> dict[str, Triples]:
    """Facts that are in no split, as far as there are any."""
    files = {name: path / f"{name}.tsv" for name in ("withheld", "rejected")}
    further = {
        name: index_facts(read_facts(file, split_momok_lines, log), entities, relations, log)
        for name, file in files.items()
        if file.is_file()
    }
    if "rejected" in further:
        sizes = len(entities), len(relations)
        true = np.concatenate([*triples.values(), further.get("withheld", further["rejected"][:0])])
        rejected = further["rejected"]
        both = is_member(encode_triples(rejected, *sizes), encode_triples(true, *sizes))
        message = "rejected facts are in a split too, where they stay: they are no negatives"
        log.report("overlap", message, (), int(both.sum()))
        further["rejected"] = rejected[~both]
    return further


def read_graph_json(folder: Path) -> dict[str, Any]:
    """Read what ``graph.json`` says of a graph."""
    path = folder / "graph.json"
    try:
        about = parse_json(read_text(path).removesuffix("\n"))
    except json.JSONDecodeError as error:
        raise FormatError(f"{path}:{error.lineno}: is not JSON: {error.msg}") from None
    except ValueError as error:
        raise FormatError(f"{path}: is not JSON: {error}") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise FormatError(f'{path}: expected an object with "format": "{FORMAT}"')
    if about.get("version") != VERSION:
        raise FormatError(
            f"{path}: version {about.get('version')!r} of the format; this momok reads {VERSION}"
        )
    if about.get("split", "published") not in ("published", "clean"):
        raise FormatError(f"{path}: split {about['split']!r}, expected 'published' or 'clean'")
    for key in ("name", "description", "licence"):
        if not isinstance(about.get(key, ""), str):
            raise FormatError(f"{path}: {key!r} must be a text")
    notes = about.get("split_notes", [])
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise FormatError(f"{path}: 'split_notes' must be a list of texts")
    files = about.get("files", {})
    if not isinstance(files, dict) or not all(map(_TABLE.fullmatch, files)):
        raise FormatError(f"{path}: 'files' must give the checksums of tables of this folder")
    return about


def _fill_names(table: Table) -> tuple[str, ...]:
    names = table.column("name")
    return tuple(
        name or make_readable(label) for name, label in zip(names, table.labels, strict=True)
    )


def write_momok_folder(
    graph: MultimodalGraph,
    path: str | Path,
    *,
    with_features: bool = True,
    overwrite: bool = False,
    also: Sequence[Path] = (),
) -> None:
    """Write a graph as a folder that reads back with the same ids, facts and split.

    Args:
        graph: the graph.
        path: the folder; it appears once all of it is written.
        with_features: write features and pictures too; without them the folder is a small record
            of labels, names and facts.
        overwrite: replace a folder of momok's format that is there already.
        also: files that are copied into the folder as they are.

    Raises:
        DataError: the folder exists (and is not a graph to overwrite), or a label cannot be
            written: it is blank or holds a tab, a line break or half a surrogate pair.
        StorageError: the disk refused; what was there before is untouched.
    """
    folder = Path(path)
    for kind, labels in (("entity", graph.entities.labels), ("relation", graph.relations.labels)):
        _check_labels(kind, labels)
    overwrite = overwrite and (folder / "graph.json").is_file()
    with write_folder(folder, overwrite=overwrite) as draft:
        pictures, _, _ = copy_pictures(graph.all_pictures if with_features else {}, draft)
        about: dict[str, object] = {"name": graph.name, "description": graph.about}
        about |= {"licence": graph.licence, "split": graph.split, "split_notes": graph.split_notes}
        entities = {
            "label": graph.entities.labels,
            "name": graph.entity_names,
            "description": graph.descriptions,
            "picture": [pictures.get(entity, "") for entity in range(graph.num_entities)],
            "type": graph.entity_types,
            **graph.attributes,
        }
        relations = {"label": graph.relations.labels, "name": graph.relation_names}
        facts: dict[str, Triples] = {split: graph.facts(split) for split in SPLIT_NAMES}
        further = {"withheld": graph.withheld, "rejected": graph.rejected}
        facts |= {name: some for name, some in further.items() if len(some)}
        for file in also:
            write_through(draft / file.name, file.read_bytes())
        write_tables(draft, about, entities, relations, facts, fact_columns=graph.fact_columns)
        for features in graph.features.values() if with_features else ():
            save_features(draft / "features", features, graph.entities)


def _check_labels(kind: str, labels: Sequence[str]) -> None:
    for label in labels:
        if not label or any(c in label for c in "\t\n\r"):
            raise DataError(
                f"the {kind} label {label!r} cannot be written: a label is not blank and has no "
                f"tab and no line break"
            )
        try:
            label.encode()
        except UnicodeEncodeError:
            raise DataError(f"the {kind} label {label!r} cannot be written as UTF-8") from None


def write_tables(
    folder: Path,
    about: Mapping[str, object],
    entities: Mapping[str, Sequence[str]],
    relations: Mapping[str, Sequence[str]],
    facts: Mapping[str, Triples],
    *,
    fact_columns: pl.DataFrame | None = None,
) -> None:
    """Write the columns of entities, relations and facts, the splits, and ``graph.json``.

    Tables that are there already count among those whose checksums it has.
    """
    write_table(folder / "entities.tsv", entities)
    write_table(folder / "relations.tsv", relations)
    for split, triples in facts.items():
        write_facts(folder / f"{split}.tsv", triples, entities["label"], relations["label"])
    if fact_columns is not None:
        labels = entities["label"], relations["label"]
        own = keep_facts(fact_columns, (label_facts(part, *labels) for part in facts.values()))
        if own is not None:
            _write_columns(folder / FACT_COLUMNS, own.cast(pl.String))
    sums = {path.name: _digest(path) for path in sorted(folder.glob("*.tsv"))}
    described = {"format": FORMAT, "version": VERSION, **about, "files": sums}
    text = json.dumps(seal(described), ensure_ascii=False, indent=2) + "\n"
    write_through(folder / "graph.json", text.encode("utf-8", "backslashreplace"))


def write_table(path: Path, columns: Mapping[str, Sequence[str]]) -> None:
    """Write columns of texts under a header; tabs and line breaks in them become blanks."""
    series = {name: pl.Series(v, dtype=pl.String) for name, v in columns.items()}
    _write_columns(path, pl.DataFrame(series))


def _write_columns(path: Path, frame: pl.DataFrame) -> None:
    tidy = frame.with_columns(pl.all().str.replace_all(r"[\t\r\n]+", " "))
    _write_frames(path, [tidy], header=True)


def write_facts(
    path: Path, facts: Triples, entities: Sequence[str], relations: Sequence[str]
) -> None:
    """Write facts ``[n, 3]`` as labels, in blocks: nothing is made per fact in Python."""
    blocks = (facts[start : start + _BLOCK] for start in range(0, len(facts), _BLOCK))
    frames = (label_facts(block, entities, relations) for block in blocks)
    _write_frames(path, frames, header=False)


def _write_frames(path: Path, frames: Iterable[pl.DataFrame], *, header: bool) -> None:
    with path.open("wb") as file:
        for number, frame in enumerate(frames):
            if number == 0 and not header and frame.row(0)[0].startswith("\ufeff"):
                # It would be read as a byte order mark: a mark before it is taken off instead.
                file.write("\ufeff".encode())
            frame.write_csv(
                file, separator="\t", include_header=header and number == 0, quote_style="never"
            )
        file.flush()
        os.fsync(file.fileno())
