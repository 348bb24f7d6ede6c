"""Writing what a source has as momok's folder."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from momok.errors import DataError
from momok.graph.entities_file import PICTURE_LINKS, write_numbers
from momok.graph.findings import Finding, FindingLog
from momok.graph.graph import SPLIT_NAMES
from momok.graph.momok_format import (
    copy_pictures,
    is_momok_folder,
    write_about,
    write_facts,
    write_table,
)
from momok.graph.names import flatten
from momok.graph.sources.pictures import is_ordinary_file
from momok.graph.sources.raw import RawGraph
from momok.progress import Progress
from momok.storage import write_folder


@dataclass(frozen=True)
class Written:
    """What was done with the pictures.

    Attributes:
        pictures: files that were copied or linked.
        linked: how many of them were linked.
        entities_with_pictures: entities that have one or more.
        urls: pictures that are URLs; they are listed and not fetched.
        findings: files that are missing.
    """

    pictures: int
    linked: int
    entities_with_pictures: int
    urls: int
    findings: tuple[Finding, ...]


def check_target(folder: Path, *, overwrite: bool) -> None:
    """Check that a graph may be written there.

    Raises:
        DataError: something is there that is not to be replaced.
    """
    is_graph = is_momok_folder(folder)
    if is_graph and not overwrite:
        raise DataError(f"{folder}: is a graph already; --force replaces it")
    if not is_graph and folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(
            f"{folder}: exists already and is no graph of momok's; remove it or choose another "
            f"folder"
        )


def write_raw_folder(
    raw: RawGraph,
    folder: Path,
    *,
    split_notes: Sequence[str] | None,
    link_pictures: bool,
    overwrite: bool,
    progress: Progress,
) -> Written:
    """Write a graph with the splits train, valid and test; the folder appears when it is whole.

    Args:
        raw: the graph.
        folder: where to.
        split_notes: how momok split the facts, which the folder then records; None where the
            source did, so that loading may mend it.
        link_pictures: use hard links where the file system can.
        overwrite: replace a folder of momok's format that is there already.
        progress: is told of what is done.

    Raises:
        DataError: the folder exists and is not to be replaced.
        StorageError: the disk refused; what was there before is untouched.
    """
    check_target(folder, overwrite=overwrite)
    with write_folder(folder, overwrite=overwrite) as draft:
        cells, written = _write_pictures(raw, draft, link_pictures, progress)
        progress("writing", 0, 0)
        recorded = {} if split_notes is None else {"split": "clean", "split_notes": split_notes}
        write_about(draft, name=raw.name, description=raw.about, licence=raw.licence, **recorded)
        _write_entities(raw, cells, draft)
        names = {label: raw.names[label] for label in raw.relations if label in raw.names}
        write_table(
            draft / "relations.tsv",
            {"label": raw.relations, "name": _column(raw.relations, names | raw.relation_names)},
        )
        for split in SPLIT_NAMES:
            write_facts(draft / f"{split}.tsv", raw.triples[split], raw.entities, raw.relations)
        known = set(raw.entities)
        write_numbers(
            draft,
            {
                flatten(name).strip(): {x: value for x, value in values.items() if x in known}
                for name, values in raw.numbers.items()
                if name.strip()
            },
        )
        _copy_features(raw, draft)
    return written


def _write_entities(raw: RawGraph, pictures: Mapping[str, str], folder: Path) -> None:
    columns: dict[str, Sequence[str]] = {
        "label": raw.entities,
        "name": _column(raw.entities, raw.names),
        "description": _column(raw.entities, raw.descriptions),
        "picture": _column(raw.entities, pictures),
        "type": _column(raw.entities, raw.types),
    }
    for name, values in raw.attributes.items():
        header = flatten(name).strip()
        if header:
            names = (f"{header}_{place}" for place in itertools.count(2))
            while header in columns:  # a name of momok's own, or of a column like it
                header = next(names)
            columns[header] = _column(raw.entities, values)
    write_table(folder / "entities.tsv", columns)


def _column(labels: Iterable[str], values: Mapping[str, str]) -> list[str]:
    return [values.get(label, "") for label in labels]


def _write_pictures(
    raw: RawGraph, folder: Path, link: bool, progress: Progress
) -> tuple[dict[str, str], Written]:
    """Copy or link the pictures that are files, and list the URLs; give the cells of entities."""
    urls: dict[str, list[str]] = {"label": [], "url": []}
    missing: list[str] = []
    files: dict[int, list[Path]] = {}
    for entity, label in enumerate(raw.entities if raw.pictures else ()):
        for path in raw.pictures.get(label, ()):
            if "://" in path:
                urls["label"].append(label)
                urls["url"].append(path)
            elif is_ordinary_file(Path(path)):
                files.setdefault(entity, []).append(Path(path))
            else:
                missing.append(f"{label}: {path}")
    cells, count, linked = copy_pictures(files, folder, link=link, progress=progress)
    log = FindingLog(folder, strict=False)
    log.report("missing-picture", "picture files are missing", missing, len(missing))
    if urls["url"]:
        write_table(folder / PICTURE_LINKS, urls)
    message = f"pictures are URLs: listed in {PICTURE_LINKS}, not fetched"
    log.report("picture-url", message, (), len(urls["url"]))
    written = Written(count, linked, len(cells), len(urls["url"]), tuple(log.findings))
    return {raw.entities[entity]: cell for entity, cell in cells.items()}, written


def _copy_features(raw: RawGraph, folder: Path) -> None:
    """Copy feature files, whose rows are named by labels."""
    if raw.features is None:
        return
    (folder / "features").mkdir()
    for file in sorted(raw.features.iterdir()):
        if file.suffix in (".json", ".safetensors") and is_ordinary_file(file):
            shutil.copyfile(file, folder / "features" / file.name)
