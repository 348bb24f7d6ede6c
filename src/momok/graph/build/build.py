"""From what a source has to momok's folder: each fact once, split without leaks, written whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from momok.errors import DataError
from momok.graph.build.steps import (
    Draft,
    add_reviews,
    drop_redundant,
    report_leaks,
    report_overlaps,
    split_facts,
    start_draft,
)
from momok.graph.build.write import Written, write_raw_folder
from momok.graph.findings import Finding
from momok.graph.graph import SPLIT_NAMES
from momok.graph.redundancy import RelationPair, find_redundant_relations, group_facts
from momok.graph.sources.raw import UNSPLIT, RawGraph
from momok.graph.triples import Triples
from momok.progress import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How to make a graph of a source.

    Attributes:
        ratio: the shares of train, valid and test where the source has no splits; any positive
            numbers.
        seed: of the split.
        drop_inverse_leaks: leave out, of two relations that are inverse or duplicates, the one
            with fewer facts.
        link_pictures: link picture files (hard links) instead of copying them.
        overwrite: replace a graph that is there already.
        name: of the graph; "" for that of the source, or else the folder's.
    """

    ratio: tuple[float, float, float] = (80, 10, 10)
    seed: int = 0
    drop_inverse_leaks: bool = False
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
    """What was made of a source.

    Attributes:
        folder: the graph's folder.
        name: of the graph.
        num_entities: N.
        num_relations: R.
        split_sizes: facts by split.
        split_notes: how they were split, in sentences.
        redundant: pairs of relations that tell each other's facts, with their labels in ``labels``.
        labels: relation labels by id.
        findings: what was found and dropped.
        notes: what was taken for what.
        covered: how many entities have a name, description, picture, type or number.
        written: what was done with pictures.
    """

    folder: Path
    name: str
    num_entities: int
    num_relations: int
    split_sizes: dict[str, int]
    split_notes: tuple[str, ...]
    redundant: tuple[RelationPair, ...]
    labels: tuple[str, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    covered: dict[str, int]
    written: Written


def build_graph(
    raw: RawGraph,
    folder: Path,
    options: BuildOptions | None = None,
    *,
    reviews: RawGraph | None = None,
    progress: Progress = no_progress,
) -> BuildReport:
    """Write a source as momok's folder, which appears whole or not at all.

    Splits that the source has are kept. Otherwise facts are split by ratio and seed, such that
    every entity and relation is in train, and facts that tell each other (the same entities, the
    same or a redundant relation) are in one split. The folder then records its split.

    Args:
        raw: the source.
        folder: the folder to write.
        options: how.
        reviews: facts that were accepted since; those that no split has join train.
        progress: is told of what is done.

    Raises:
        DataError: the folder exists, there are no or too few facts, or a label cannot be written.
        StorageError: the disk refused.
    """
    options = options or BuildOptions()
    draft, redundant = _make_draft(raw, options, reviews, progress)
    name = options.name or raw.name or folder.resolve().name
    facts: dict[str, Triples] = {split: draft.triples[split] for split in SPLIT_NAMES}
    built = replace(
        raw, entities=draft.entities, relations=draft.relations, triples=facts, name=name
    )
    written = write_raw_folder(
        built,
        folder,
        split_notes=_record_split(raw, draft),
        link_pictures=options.link_pictures,
        overwrite=options.overwrite,
        progress=progress,
    )
    return BuildReport(
        folder=folder,
        name=name,
        num_entities=len(draft.entities),
        num_relations=len(draft.relations),
        split_sizes={split: len(facts[split]) for split in SPLIT_NAMES},
        split_notes=tuple(draft.split_notes),
        redundant=tuple(redundant),
        labels=tuple(draft.relations),
        findings=(*draft.findings, *written.findings),
        notes=tuple(raw.notes),
        covered=_count_covered(built, written),
        written=written,
    )


def _make_draft(
    raw: RawGraph, options: BuildOptions, reviews: RawGraph | None, progress: Progress
) -> tuple[Draft, list[RelationPair]]:
    """Take a source's facts to splits, and find the relations that tell each other's."""
    progress("dropping duplicates", 0, 0)
    draft = start_draft(raw)
    is_split = UNSPLIT not in draft.triples
    progress("comparing relations", 0, 0)
    redundant = find_redundant_relations(draft.distinct(), *draft.sizes)
    if options.drop_inverse_leaks:
        drop_redundant(draft, redundant, keep_entities=is_split)
        redundant = find_redundant_relations(draft.distinct(), *draft.sizes)
    progress("splitting", 0, 0)
    groups = group_facts(draft.all_facts(), redundant, *draft.sizes)
    split_facts(draft, groups, options.ratio, options.seed)
    if is_split:
        report_overlaps(draft)
    if reviews is not None:
        add_reviews(draft, reviews)
    report_leaks(draft, redundant)
    return draft, redundant


def _record_split(raw: RawGraph, draft: Draft) -> list[str] | None:
    """Give the notes of a split that is momok's own; loading may mend that of others."""
    if UNSPLIT in raw.triples:
        return draft.split_notes
    return None if raw.split_notes is None else [*raw.split_notes, *draft.split_notes[1:]]


def _count_covered(raw: RawGraph, written: Written) -> dict[str, int]:
    entities = set(raw.entities)
    numbered = {label for values in raw.numbers.values() for label in values}
    return {
        "names": len(entities & raw.names.keys()),
        "descriptions": len(entities & raw.descriptions.keys()),
        "types": len(entities & raw.types.keys()),
        "pictures": written.entities_with_pictures,
        "numbers": len(entities & numbered),
    }
