"""From what a source has to momok's folder: each fact once, split without leaks, written whole."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from momok.errors import DataError
from momok.graph.build.steps import (
    Draft,
    add_reviews,
    drop_redundant,
    group_by_labels,
    report_leaks,
    report_overlaps,
    split_facts,
    start_draft,
)
from momok.graph.entities_file import PICTURE_LINKS, write_numbers
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph
from momok.graph.momok_format import (
    is_momok_folder,
    write_table,
    write_tables,
)
from momok.graph.names import Vocabulary, flatten, make_readable
from momok.graph.picture_files import copy_pictures
from momok.graph.reviewed import ReviewedFacts
from momok.graph.sources.raw import UNSPLIT, RawGraph
from momok.graph.splits import RelationPair, find_redundant_relations, make_clean
from momok.graph.text_files import Finding, FindingLog, is_ordinary_file
from momok.graph.triples import Triples
from momok.progress import Progress, no_progress
from momok.storage import write_folder

_OWN_COLUMNS = ("label", "name", "description", "picture", "type")


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How to make a graph of a source.

    Attributes:
        ratio: the shares of train, valid and test where the source has no splits; any positive
            numbers.
        drop_inverse_leaks: leave out, of two relations that are inverse or duplicates, the one
            that the source names later.
        name: of the graph; "" for that of the source, or else the folder's.
    """

    ratio: tuple[float, float, float] = (80, 10, 10)
    seed: int = 0
    drop_inverse_leaks: bool = False
    keep: tuple[str, ...] = ()
    link_pictures: bool = False
    overwrite: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        """Check the ratio."""
        if not all(0 < share < float("inf") for share in self.ratio):
            raise DataError(
                f"ratio {'/'.join(f'{share:g}' for share in self.ratio)}: expected three positive "
                f"numbers, the shares of train, valid and test, as in 80/10/10"
            )


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """What was made of a source."""

    folder: Path
    graph: RawGraph
    split_notes: tuple[str, ...]
    redundant: tuple[RelationPair, ...]
    findings: tuple[Finding, ...]
    covered: dict[str, int]
    pictures: int
    linked: int

    @property
    def split_sizes(self) -> dict[str, int]:
        """Facts by split."""
        return {split: len(facts) for split, facts in self.graph.triples.items()}


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


def build_graph(
    raw: RawGraph,
    folder: Path,
    options: BuildOptions | None = None,
    *,
    reviews: ReviewedFacts | None = None,
    progress: Progress = no_progress,
) -> BuildReport:
    """Write a source as momok's folder, which appears whole or not at all.

    Splits that the source has are kept. Otherwise facts are split by ratio and seed, such that
    every entity and relation is in train, and facts that tell each other (the same entities, the
    same or a redundant relation) are in one split. The folder then records its split.

    Args:
        reviews: what people have decided since: accepted facts that no split has join train,
            rejected ones leave it and are kept in a table of their own.

    Raises:
        DataError: the folder exists, there are no or too few facts, or a label cannot be written.
    """
    options = options or BuildOptions()
    check_target(folder, overwrite=options.overwrite)
    draft, redundant = _make_draft(raw, options, reviews, progress)
    graph = replace(
        raw,
        entities=draft.entities,
        relations=draft.relations,
        triples={split: draft.triples[split] for split in SPLIT_NAMES},
        name=options.name or raw.name or folder.resolve().name,
    )
    with write_folder(folder, overwrite=options.overwrite) as target:
        cells, pictures, linked = _copy_pictures(
            graph, target, draft.log, link=options.link_pictures, progress=progress
        )
        progress("writing", 0, 0)
        about = {"name": graph.name, "description": raw.about, "licence": raw.licence}
        _write(graph, about | _record_split(raw, draft), cells, target, draft.rejected)
    have: dict[str, Iterable[str]] = {
        **{"names": raw.names, "descriptions": raw.descriptions, "types": raw.types},
        **{"pictures": cells, "numbers": set[str]().union(*raw.numbers.values())},
    }
    return BuildReport(
        folder=folder,
        graph=graph,
        split_notes=tuple(draft.split_notes),
        redundant=tuple(redundant),
        findings=tuple(draft.log.findings),
        covered={what: len({*graph.entities}.intersection(x)) for what, x in have.items()},
        pictures=pictures,
        linked=linked,
    )


def build_in_memory(raw: RawGraph, options: BuildOptions) -> MultimodalGraph:
    """Make the graph that ``load_graph`` would read from what ``build_graph`` writes, but features.

    Numbers, which a graph in memory does not hold, are left out and counted. Splits of the source
    that share facts are mended (``make_clean``).

    Raises:
        DataError: there are no or too few facts, or a label could not be written.
    """
    draft, _ = _make_draft(raw, options, None, no_progress)
    entities, relations = Vocabulary(tuple(draft.entities)), Vocabulary(tuple(draft.relations))
    files, _ = _find_pictures(raw, draft.entities, draft.log)
    message = f"columns of numbers are left out: {', '.join(raw.numbers)}"
    draft.log.report("numbers", message, (), len(raw.numbers))
    triples = {split: draft.triples[split] for split in SPLIT_NAMES}
    names, kinds = (
        _column(entities.labels, raw.names),
        _column(relations.labels, raw.relation_names),
    )
    graph = MultimodalGraph(
        name=options.name or raw.name,
        entities=entities,
        relations=relations,
        train=triples["train"],
        valid=triples["valid"],
        test=triples["test"],
        rejected=draft.rejected,
        entity_names=_fill_in(names, entities),
        relation_names=_fill_in(kinds, relations),
        descriptions=tuple(_column(entities.labels, raw.descriptions)),
        entity_types=tuple(_column(entities.labels, raw.types)),
        attributes={x: tuple(texts) for x, texts in _list_attributes(raw, draft.entities).items()},
        pictures={entity: several[0] for entity, several in files.items()},
        all_pictures={entity: tuple(several) for entity, several in files.items()},
        fact_columns=raw.fact_columns,
        split="clean" if UNSPLIT in raw.triples else "published",
        split_notes=tuple(draft.split_notes),
        findings=tuple(draft.log.findings),
    )
    return graph if UNSPLIT in raw.triples else make_clean(graph)


def _fill_in(names: Iterable[str], vocabulary: Vocabulary) -> tuple[str, ...]:
    pairs = zip(names, vocabulary.labels, strict=True)
    return tuple(name or make_readable(label) for name, label in pairs)


def _make_draft(
    raw: RawGraph, options: BuildOptions, reviews: ReviewedFacts | None, progress: Progress
) -> tuple[Draft, list[RelationPair]]:
    """Take a source's facts to splits, and find the relations that tell each other's."""
    progress("dropping duplicates", 0, 0)
    draft = start_draft(raw)
    is_split = UNSPLIT not in draft.triples
    progress("comparing relations", 0, 0)
    redundant = find_redundant_relations(draft.distinct(), *draft.sizes)
    if options.drop_inverse_leaks:
        drop_redundant(draft, redundant, options.keep, keep_entities=is_split)
        redundant = find_redundant_relations(draft.distinct(), *draft.sizes)
    progress("splitting", 0, 0)
    groups = group_by_labels(draft, redundant)
    split_facts(draft, groups, options.ratio, options.seed)
    is_reviewed = reviews is not None or bool(raw.rejected)
    if is_reviewed:
        reviews = reviews or ReviewedFacts()
        add_reviews(draft, replace(reviews, rejected=[*raw.rejected, *reviews.rejected]))
    if is_split or is_reviewed:
        report_overlaps(draft)
    report_leaks(draft, redundant)
    return draft, redundant


def _record_split(raw: RawGraph, draft: Draft) -> dict[str, Any]:
    """Give what the folder records of a split that is momok's own; loading may mend others."""
    if UNSPLIT in raw.triples:
        return {"split": "clean", "split_notes": draft.split_notes}
    if raw.split_notes is None:
        return {}
    return {"split": "clean", "split_notes": [*raw.split_notes, *draft.split_notes[1:]]}


def _copy_pictures(
    raw: RawGraph, folder: Path, log: FindingLog, *, link: bool, progress: Progress
) -> tuple[dict[str, str], int, int]:
    """Copy or link the pictures that are files, list the URLs, and report what is missing.

    Returns:
        The cell of the column ``picture`` by label, how many files there are, and how many are
        linked.
    """
    files, urls = _find_pictures(raw, raw.entities, log)
    if urls["url"]:
        write_table(folder / PICTURE_LINKS, urls)
    message = f"pictures are URLs: listed in {PICTURE_LINKS}, not fetched"
    log.report("picture-url", message, (), len(urls["url"]))
    cells, count, linked = copy_pictures(files, folder, link=link, progress=progress)
    return {raw.entities[entity]: cell for entity, cell in cells.items()}, count, linked


def _find_pictures(
    raw: RawGraph, entities: Sequence[str], log: FindingLog
) -> tuple[dict[int, list[Path]], dict[str, list[str]]]:
    """Find the picture files by id and the columns of URLs, and report what is missing."""
    urls: dict[str, list[str]] = {"label": [], "url": []}
    missing: list[str] = []
    files: dict[int, list[Path]] = {}
    for entity, label in enumerate(entities if raw.pictures else ()):
        for path in raw.pictures.get(label, ()):
            if "://" in path:
                urls["label"].append(label)
                urls["url"].append(path)
            elif is_ordinary_file(Path(path)):
                files.setdefault(entity, []).append(Path(path))
            else:
                missing.append(f"{label}: {path}")
    log.report("missing-picture", "picture files are missing", missing, len(missing))
    return files, urls


def _write(
    raw: RawGraph,
    about: Mapping[str, Any],
    pictures: Mapping[str, str],
    folder: Path,
    rejected: Triples,
) -> None:
    """Write facts, names, texts and numbers, and copy features, whose rows have labels."""
    columns: dict[str, Sequence[str]] = {
        "label": raw.entities,
        "name": _column(raw.entities, raw.names),
        "description": _column(raw.entities, raw.descriptions),
        "picture": _column(raw.entities, pictures),
        "type": _column(raw.entities, raw.types),
    }
    columns |= _list_attributes(raw, raw.entities)
    names = _column(raw.relations, raw.relation_names)
    known = set(raw.entities)
    numbers = {
        flatten(name).strip(): {x: value for x, value in values.items() if x in known}
        for name, values in raw.numbers.items()
        if name.strip()
    }
    write_numbers(folder, numbers)
    facts = raw.triples | ({"rejected": rejected} if len(rejected) else {})
    relations = {"label": raw.relations, "name": names}
    write_tables(folder, about, columns, relations, facts, fact_columns=raw.fact_columns)
    if raw.features is not None:
        (folder / "features").mkdir()
        for file in sorted(raw.features.iterdir()):
            if file.suffix in (".json", ".safetensors") and is_ordinary_file(file):
                shutil.copyfile(file, folder / "features" / file.name)


def _list_attributes(raw: RawGraph, entities: Sequence[str]) -> dict[str, list[str]]:
    """Give the columns of further texts, by names that none of momok's own columns has."""
    columns: dict[str, list[str]] = {}
    for name, values in raw.attributes.items():
        header = flatten(name).strip()
        if header:
            numbered = (f"{header}_{place}" for place in itertools.count(2))
            while header in (*_OWN_COLUMNS, *columns):
                header = next(numbered)
            columns[header] = _column(entities, values)
    return columns


def _column(labels: Iterable[str], values: Mapping[str, str]) -> list[str]:
    return [values.get(label, "") for label in labels]
