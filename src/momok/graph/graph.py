"""The multi-modal knowledge graph in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import polars as pl

from momok.arrays import Floats
from momok.errors import AmbiguousNameError, DataError, FeatureError, UnknownLabelError
from momok.graph.fact_columns import WEIGHT, check_fact_columns, find_columns_of, label_facts
from momok.graph.fact_index import FactIndex
from momok.graph.features import Features
from momok.graph.names import (
    Vocabulary,
    find_near_misses,
    find_number,
    fold_name,
    format_suggestion,
    group_by_name,
    make_readable,
    shorten,
)
from momok.graph.text_files import Finding
from momok.graph.triples import Triples
from momok.html import render_table

Split: TypeAlias = Literal["published", "clean"]
"""Which split of the facts: as its authors publish it, or mended (see ``momok.graph.splits``)."""

SplitName: TypeAlias = Literal["train", "valid", "test"]
"""One part of the split."""

Suggest: TypeAlias = Callable[[str], Sequence[str]]
_Kind: TypeAlias = Literal["entities", "relations"]

_LISTED = 8  # labels that share a name

SPLIT_NAMES: tuple[SplitName, ...] = ("train", "valid", "test")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MultimodalGraph:
    """Facts about entities, and what is known of the entities besides.

    The texts per entity or relation may be left out: names are then made from the labels, the
    other texts are blank. All tuples are in the order of the vocabularies.

    Attributes:
        name: the name of the graph.
        entities: the labels of the N entities; the position is the id.
        relations: the labels of the R relations.
        train: facts to learn from ``[n, 3]``: head, relation, tail ids; each once.
        valid: facts to choose a model with; each once.
        test: facts to judge it with; each once.
        withheld: further facts that are true: nothing learns from them or asks for them, and
            rankings leave them out of the candidates as they do other true answers.
        rejected: facts that people have said are false: none of them is in a split. Training takes
            them as negatives.
        features: per modality, one vector for some or all entities.
        entity_names: display names.
        relation_names: display names.
        descriptions: longer texts, "" where there is none.
        entity_types: the kind of thing, "" where it is not said.
        attributes: further columns of texts per entity, by column name.
        pictures: entity id to picture file, the first where there are several.
        all_pictures: entity id to all of its picture files; may be left out where there is one.
        fact_columns: weights of facts, and texts about them (see ``momok.graph.fact_columns``).
        split: whether the facts are split as published or were mended.
        split_notes: what mending changed, in words with counts.
        findings: what reading found in the files.
        source: where the graph was read: a name of the catalog or a folder.
        about: a sentence on the graph.
        licence: under which terms it may be used.

    Raises:
        DataError: sizes that contradict each other, or ids out of range.
    """

    name: str
    entities: Vocabulary
    relations: Vocabulary
    train: Triples
    valid: Triples
    test: Triples
    withheld: Triples = field(default_factory=lambda: np.empty((0, 3), dtype=np.int64))
    rejected: Triples = field(default_factory=lambda: np.empty((0, 3), dtype=np.int64))
    features: Mapping[str, Features] = field(default_factory=dict)
    entity_names: tuple[str, ...] = ()
    relation_names: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    entity_types: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pictures: Mapping[int, Path] = field(default_factory=dict)
    all_pictures: Mapping[int, tuple[Path, ...]] = field(default_factory=dict)
    fact_columns: pl.DataFrame | None = None
    split: Split = "published"
    split_notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    source: str = ""
    about: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        """Fill in the texts left out and check that all sizes agree."""
        for column, vocabulary, fill_in in (
            ("entity_names", self.entities, make_readable),
            ("relation_names", self.relations, make_readable),
            ("descriptions", self.entities, lambda _: ""),
            ("entity_types", self.entities, lambda _: ""),
        ):
            if not getattr(self, column):
                object.__setattr__(self, column, tuple(map(fill_in, vocabulary.labels)))
            self._check_length(column, getattr(self, column), len(vocabulary))
        for column, values in self.attributes.items():
            self._check_length(f"attribute {column!r}", values, self.num_entities)
        if not self.all_pictures:
            alone = {entity: (picture,) for entity, picture in self.pictures.items()}
            object.__setattr__(self, "all_pictures", alone)
        if {entity: several[0] for entity, several in self.all_pictures.items()} != self.pictures:
            raise DataError(f"graph {self.name!r}: pictures are not the first of all_pictures")
        for split in SPLIT_NAMES:
            self._check_triples(split, self.facts(split))
        self._check_triples("withheld", self.withheld)
        self._check_triples("rejected", self.rejected)
        if self.fact_columns is not None:
            check_fact_columns(self.fact_columns)
        for modality, features in self.features.items():
            if len(features.matrix) != self.num_entities:
                raise FeatureError(
                    f"graph {self.name!r}: modality {modality!r} has {len(features.matrix)} rows "
                    f"for {self.num_entities} entities"
                )

    def _check_length(self, what: str, values: tuple[str, ...], expected: int) -> None:
        if len(values) != expected:
            raise DataError(
                f"graph {self.name!r}: {what} has {len(values)} values, expected {expected}"
            )

    def _check_triples(self, split: str, triples: Triples) -> None:
        if triples.ndim != 2 or triples.shape[1] != 3 or triples.dtype != np.int64:
            raise DataError(
                f"graph {self.name!r}: {split} facts are {triples.dtype} {triples.shape}, "
                f"expected int64 [n, 3]"
            )
        limits = np.array([self.num_entities, self.num_relations, self.num_entities])
        if ((triples < 0) | (triples >= limits)).any():
            raise DataError(f"graph {self.name!r}: {split} facts have ids outside the vocabulary")

    def __repr__(self) -> str:
        facts = ", ".join(f"{len(self.facts(split)):,} {split}" for split in SPLIT_NAMES)
        return (
            f"<MultimodalGraph {self.name!r}: {self.num_entities:,} entities, "
            f"{self.num_relations:,} relations, {facts} facts ({self.split} split), "
            f"{', '.join(self.features) or 'no features'}>"
        )

    def _repr_html_(self) -> str:
        facts = [(f"{split} facts", len(self.facts(split))) for split in SPLIT_NAMES]
        counts = [("entities", self.num_entities), ("relations", self.num_relations), *facts]
        described = sum(map(bool, self.descriptions))
        counts += [("entities with descriptions", described), ("with pictures", len(self.pictures))]
        counts += [
            (
                f"with features {modality} [{features.matrix.shape[1]:,}]",
                int(features.present.sum()),
            )
            for modality, features in self.features.items()
        ]
        warnings = [finding.message for finding in self.findings]
        title = f"Graph {self.name}, {self.split} split"
        return render_table(title, counts, notes=self.split_notes, warnings=warnings)

    @property
    def num_entities(self) -> int:
        """How many entities: N."""
        return len(self.entities)

    @property
    def num_relations(self) -> int:
        """How many relations, without reciprocals: R."""
        return len(self.relations)

    def facts(self, split: SplitName) -> Triples:
        """Give the facts ``[n, 3]`` of one split by its name."""
        splits = {"train": self.train, "valid": self.valid, "test": self.test}
        if split not in splits:
            raise DataError(f"{split!r}: expected 'train', 'valid' or 'test'")
        return splits[split]

    def weights(self, split: SplitName) -> Floats | None:
        """Give the weight of each fact of a split ``[n]``; None where the graph has no weights."""
        if self.fact_columns is None or WEIGHT not in self.fact_columns.columns:
            return None
        return self.to_frame(split)[WEIGHT].to_numpy()

    def to_frame(self, what: SplitName | Literal["entities"]) -> pl.DataFrame:
        """Give the facts of a split, or what is known of the entities, as a frame of polars.

        Facts are columns ``head``, ``relation`` and ``tail`` of labels, in the order of the split,
        and what ``fact_columns`` has of them. Entities are columns ``label``, ``name``,
        ``description``, ``type`` and the attributes, in the order of the vocabulary;
        ``to_pandas()`` of the frame gives one of pandas.

        Raises:
            DataError: there is no such split.
        """
        if what == "entities":
            columns = {
                "label": self.entities.labels,
                "name": self.entity_names,
                "description": self.descriptions,
                "type": self.entity_types,
                **self.attributes,
            }
            return pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
        if what not in SPLIT_NAMES:
            raise DataError(f"{what!r}: expected 'train', 'valid', 'test' or 'entities'")
        facts = label_facts(self.facts(what), self.entities.labels, self.relations.labels)
        return facts if self.fact_columns is None else find_columns_of(facts, self.fact_columns)

    def with_features(self, features: Mapping[str, Features]) -> MultimodalGraph:
        """Give the same graph with these features added; same modality names are replaced."""
        return replace(self, features={**self.features, **features})

    def fingerprint(self) -> str:
        """Compute the sha256 of labels, facts of all splits and features, as 64 hex digits.

        Names, descriptions and pictures do not count: no model sees them but through features.
        Weights of train facts do, unless all are the same.
        """
        digest = hashlib.sha256(b"momok-graph 1")
        for part in self._fingerprint_parts():
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
        return digest.hexdigest()

    def _fingerprint_parts(self) -> Iterator[bytes]:
        for vocabulary in (self.entities, self.relations):
            yield len(vocabulary).to_bytes(8, "little")
            for label in vocabulary.labels:
                yield label.encode("utf-8", "surrogatepass")
        for split in SPLIT_NAMES:
            yield np.ascontiguousarray(self.facts(split), dtype="<i8").tobytes()
        if len(self.withheld):
            yield np.ascontiguousarray(self.withheld, dtype="<i8").tobytes()
        if len(self.rejected):
            yield b"rejected" + np.ascontiguousarray(self.rejected, dtype="<i8").tobytes()
        weights = self.weights("train")
        if weights is not None and (weights != weights[:1]).any():
            yield b"weights" + np.ascontiguousarray(weights, dtype="<f8").tobytes()
        for modality in sorted(self.features):
            features = self.features[modality]
            yield modality.encode()
            yield np.ascontiguousarray(features.matrix, dtype="<f4").tobytes()
            yield features.present.tobytes()

    # -- looking up ------------------------------------------------------------------------

    @cached_property
    def fact_index(self) -> FactIndex:
        """The facts of all splits, in the order of ``SPLIT_NAMES``, to look up."""
        parts = [self.facts(split) for split in SPLIT_NAMES]
        return FactIndex(parts, self.num_entities, self.num_relations)

    @cached_property
    def true_facts(self) -> FactIndex:
        """What rankings leave out of the candidates: the facts of all splits and those withheld."""
        if not len(self.withheld):
            return self.fact_index
        parts = [*(self.facts(split) for split in SPLIT_NAMES), self.withheld]
        return FactIndex(parts, self.num_entities, self.num_relations)

    @cached_property
    def train_index(self) -> FactIndex:
        """The train facts, to look up; their rows are those of ``train``."""
        return FactIndex([self.train], self.num_entities, self.num_relations)

    def find_entity(self, given: str | int, suggest: Suggest | None = None) -> int:
        """Find an entity by its label, else by its name or label in any case, or check its id.

        Args:
            given: a label, which may be written ``<label>``, a name, or an id. Blanks around it and
                the Unicode form are no matter. Where labels are numbers, a number is a label.
            suggest: finds the names that are like a text, for the message about an unknown one;
                by default all names and labels are compared.

        Raises:
            UnknownLabelError: nothing has this label, name or id; near misses are suggested.
            AmbiguousNameError: several entities share the name; their labels are listed.
        """
        return self._find(given, "entities", suggest)

    def find_relation(self, given: str | int) -> int:
        """Find a relation by its label, else by its name or label in any case, or check its id.

        Raises:
            UnknownLabelError: nothing has this label, name or id; near misses are suggested.
            AmbiguousNameError: several relations share the name; their labels are listed.
        """
        return self._find(given, "relations", None)

    def title(self, entity: int) -> str:
        """Give the name of an entity, with its label where several share the name."""
        name, label = self.entity_names[entity], self.entities.labels[entity]
        shared = len(self._entities_by_name[fold_name(name)]) > 1
        return f"{name} ({label})" if shared else name

    @cached_property
    def _entities_by_name(self) -> dict[str, list[int]]:
        return group_by_name(self.entity_names)

    @cached_property
    def _relations_by_name(self) -> dict[str, list[int]]:
        return group_by_name(self.relation_names)

    def _find(self, given: str | int, kind: _Kind, suggest: Suggest | None) -> int:
        vocabulary = self.entities if kind == "entities" else self.relations
        if not isinstance(given, str):
            return find_number(given, vocabulary, kind, self.name)
        bare = given[1:-1] if given.startswith("<") and given.endswith(">") else given
        for label in (given, bare):
            if label in vocabulary:
                return vocabulary.ids[label]
        by_name = self._entities_by_name if kind == "entities" else self._relations_by_name
        folded = fold_name(given)
        same_name = by_name.get(folded, [])
        if not same_name:
            same_name = [i for i, x in enumerate(vocabulary.labels) if fold_name(x) == folded]
        if len(same_name) == 1:
            return same_name[0]
        if same_name:
            labels = ", ".join(shorten(vocabulary.labels[i]) for i in same_name[:_LISTED])
            more = f" and {len(same_name) - _LISTED} more" if len(same_name) > _LISTED else ""
            raise AmbiguousNameError(
                f"{shorten(given)!r} names {len(same_name)} {kind} of {self.name}; "
                f"give one of the labels: {labels}{more}"
            )
        names = self.entity_names if kind == "entities" else self.relation_names
        near = suggest(given) if suggest else find_near_misses(given, (*names, *vocabulary.labels))
        singular = "entity" if kind == "entities" else "relation"
        raise UnknownLabelError(
            f"{self.name} has no {singular} {shorten(given)!r}"
            + (format_suggestion(near) or "; give a label or a name")
        )
