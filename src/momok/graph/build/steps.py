"""The steps from a source's facts to splits; see ``build.build_graph``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from momok.arrays import Ints
from momok.errors import DataError
from momok.graph.graph import SPLIT_NAMES
from momok.graph.names import flatten, suggest_near_misses
from momok.graph.reviewed import ReviewedFacts, settle_reviews
from momok.graph.sources.raw import UNSPLIT, RawGraph, translate_ids
from momok.graph.splits import RelationPair, group_facts, hold_out
from momok.graph.text_files import FindingLog
from momok.graph.triples import Triples, encode_triples, first_occurrences, is_member, mark_unseen


@dataclass
class Draft:
    """A graph under construction, and what there is to say of it."""

    entities: list[str]
    relations: list[str]
    triples: dict[str, Triples]  # as in RawGraph, by split
    log: FindingLog
    split_notes: list[str] = field(default_factory=list)
    rejected: Triples = field(default_factory=lambda: np.empty((0, 3), dtype=np.int64))

    @property
    def sizes(self) -> tuple[int, int]:
        """How many entities and relations there are."""
        return len(self.entities), len(self.relations)

    def report_facts(self, kind: str, facts: Triples, message: str) -> None:
        """Note facts ``[n, 3]`` with something about them."""
        shown = (
            f"{self.entities[head]} | {self.relations[relation]} | {self.entities[tail]}"
            for head, relation, tail in facts
        )
        self.log.report(kind, message, shown, len(facts))

    def all_facts(self) -> Triples:
        """Give the facts of all splits one after the other."""
        return np.concatenate(list(self.triples.values()))

    def distinct(self) -> Triples:
        """Give the facts of all splits, each once."""
        facts = self.all_facts()
        if len(self.triples) == 1:
            return facts
        return facts[first_occurrences(encode_triples(facts, *self.sizes))[0]]


def start_draft(raw: RawGraph) -> Draft:
    """Begin with the distinct facts of a source, and labels that can be written.

    Raises:
        DataError: there is no fact, or a label cannot be written.
    """
    draft = Draft(
        raw.entities, raw.relations, {}, FindingLog(Path(), strict=False, findings=[*raw.findings])
    )
    draft.entities = _tidy_labels(draft, "entity", raw.entities)
    draft.relations = _tidy_labels(draft, "relation", raw.relations)
    for split, triples in raw.triples.items():
        keys = encode_triples(triples, *draft.sizes)
        kept, _ = first_occurrences(keys)
        where = "" if split == UNSPLIT else f" of {split}"
        message = f"facts{where} are repeated; kept once"
        if raw.fact_columns is not None:
            message += ", with the largest weight and all texts about them"
        draft.log.report("duplicate", message, (), len(keys) - len(kept))
        draft.triples[split] = triples if len(kept) == len(keys) else triples[kept]
    if not sum(map(len, draft.triples.values())):
        raise DataError("the source has no fact")
    if UNSPLIT in draft.triples:
        _drop_unused(draft)
    return draft


def _tidy_labels(draft: Draft, kind: str, labels: list[str]) -> list[str]:
    """Take tabs and line breaks out of labels, which a line of momok's folder cannot hold."""
    tidy = [flatten(label) for label in labels]
    changed = [repr(label) for label, new in zip(labels, tidy, strict=True) if label != new]
    draft.log.report("line-break", f"{kind} labels had tabs or line breaks", changed, len(changed))
    if "" in tidy:
        raise DataError(f"a label of the source ({kind}) is blank; give every {kind} a label")
    if changed and len(set(tidy)) < len(tidy):
        raise DataError(
            f"two {kind} labels differ in tabs or line breaks only, the first is {changed[0]}; "
            f"rename one"
        )
    lone = next((label for label in tidy if re.search("[\ud800-\udfff]", label)), None)
    if lone is not None:
        raise DataError(f"the {kind} label {lone!r} cannot be written as UTF-8")
    return tidy


def _drop_unused(draft: Draft, *, entities: bool = True) -> None:
    """Leave out relations, and entities where asked, without a fact; train cannot show them."""
    facts = draft.all_facts()
    for kind, labels, columns in (
        ("entities", draft.entities, [0, 2]),
        ("relations", draft.relations, [1]),
    ):
        used = np.zeros(len(labels), dtype=np.bool_)
        used[facts[:, columns]] = True
        if used.all() or (kind == "entities" and not entities):
            continue
        unused = np.flatnonzero(~used)
        examples = (labels[i] for i in unused)
        draft.log.report("isolated", f"{kind} are in no fact; left out", examples, len(unused))
        ids = np.cumsum(used) - 1
        for split, own in draft.triples.items():
            moved = own.copy()
            moved[:, columns] = ids[own[:, columns]]
            draft.triples[split] = moved
        labels[:] = [labels[i] for i in np.flatnonzero(used)]


def drop_redundant(
    draft: Draft, redundant: Sequence[RelationPair], keep: Sequence[str], *, keep_entities: bool
) -> None:
    """Leave out the facts of every relation that another tells which is kept.

    Of two the one that is to be kept is, else the one that the source names first.

    Raises:
        DataError: a relation that is to be kept is not there.
    """
    for label in keep:
        if label not in draft.relations:
            near = suggest_near_misses(label, draft.relations)
            raise DataError(f"--keep {label!r}: there is no such relation{near}")
    wanted = {draft.relations.index(label) for label in keep}
    dropped: set[int] = set()
    for pair in redundant:
        stays, goes = sorted((pair.first, pair.second), key=lambda x: (x not in wanted, x))
        if stays not in dropped and goes not in wanted and stays != goes:
            dropped.add(goes)
    gone = np.zeros(len(draft.relations), dtype=np.bool_)
    gone[list(dropped)] = True
    examples = [draft.relations[relation] for relation in sorted(dropped)]
    count = 0
    for split, facts in draft.triples.items():
        kept = ~gone[facts[:, 1]]
        count += int((~kept).sum())
        draft.triples[split] = facts[kept]
    message = f"facts of {len(dropped):,} relations that others tell are left out"
    draft.log.report("inverse-leak", message, examples, count)
    _drop_unused(draft, entities=not keep_entities)


def group_by_labels(draft: Draft, redundant: Sequence[RelationPair]) -> Ints:
    """Group the facts of all splits ``[n]`` (see ``group_facts``), numbered by their labels.

    The numbers, by which facts are split, then do not depend on the order of the facts.
    """
    ends, kinds = _rank_labels(draft.entities), _rank_labels(draft.relations)
    facts = draft.all_facts()
    ranked = np.stack([ends[facts[:, 0]], kinds[facts[:, 1]], ends[facts[:, 2]]], axis=1)
    pairs = [replace(p, first=int(kinds[p.first]), second=int(kinds[p.second])) for p in redundant]
    return group_facts(ranked, pairs, *draft.sizes)


def _rank_labels(labels: Sequence[str]) -> Ints:
    ranks = np.empty(len(labels), dtype=np.int64)
    order = sorted(range(len(labels)), key=lambda i: labels[i])
    ranks[np.array(order, dtype=np.int64)] = np.arange(len(labels))
    return ranks


def split_facts(draft: Draft, groups: Ints, ratio: tuple[float, float, float], seed: int) -> None:
    """Split facts that their source does not split, or draw the splits it lacks from train.

    Facts of one of the ``groups`` ``[n]`` (in the order of ``draft.all_facts()``) stay together.

    Raises:
        DataError: there is no train fact, or none can be held out.
    """
    source, start = "train", 0
    if UNSPLIT in draft.triples:
        source = UNSPLIT
        shares = "/".join(f"{share:g}" for share in ratio)
        draft.split_notes.append(
            f"split {shares} by seed {seed}: every entity and relation is in train, and facts "
            f"that tell each other (reversed, or of inverse or duplicate relations) are in one "
            f"split"
        )
    else:
        own = " and ".join(split for split in SPLIT_NAMES if split in draft.triples)
        draft.split_notes.append(f"split as the source has it ({own})")
        names = list(draft.triples)
        start = sum(len(draft.triples[name]) for name in names[: names.index("train")])
    missing = [split for split in SPLIT_NAMES[1:] if not len(draft.triples.get(split, ()))]
    facts = draft.triples.pop(source) if missing else draft.triples[source]
    if not len(facts):
        raise DataError("the source has no train fact")
    if not missing:
        return
    shares_of = dict(zip(SPLIT_NAMES, ratio, strict=True))
    wanted = [max(1, round(len(facts) * shares_of[s] / sum(ratio))) for s in missing]
    parts = hold_out(facts, groups[start : start + len(facts)], wanted, *draft.sizes, seed=seed)
    sizes = np.bincount(parts, minlength=1 + len(missing))
    if not sizes.all():
        raise DataError(
            f"{len(facts):,} facts cannot be split: {' and '.join(missing)} get facts whose "
            f"entities and relation have others in train, and there are {sizes[1:].sum()} such "
            f"facts; give more facts, or splits of your own"
        )
    for part, split in enumerate(["train", *missing]):
        draft.triples[split] = facts[parts == part]
    if source == "train":
        draft.split_notes.append(
            f"{' and '.join(missing)} drawn from train by seed {seed}; every entity and "
            f"relation keeps a train fact"
        )
    if sizes[1:].sum() < 0.99 * sum(wanted):
        draft.split_notes.append(
            f"{' and '.join(missing)} have {sizes[1:].sum():,} facts instead of {sum(wanted):,}: "
            f"the others are needed to show every entity and relation in train"
        )


def report_overlaps(draft: Draft) -> None:
    """Count facts that are in two splits, and held-out facts of entities train never shows."""
    keys: dict[str, Ints] = {s: encode_triples(draft.triples[s], *draft.sizes) for s in SPLIT_NAMES}
    for split, other in (("valid", "train"), ("test", "train"), ("valid", "test")):
        draft.report_facts(
            "overlap",
            draft.triples[split][is_member(keys[split], keys[other])],
            f"{split} facts are in {other} too; kept, and mended when the graph is loaded "
            f"(data.split = clean)",
        )
    for split in SPLIT_NAMES[1:]:
        facts = draft.triples[split]
        unseen = facts[mark_unseen(draft.triples["train"], facts, len(draft.entities))]
        message = f"{split} facts have an entity that is in no train fact"
        draft.report_facts("unseen-entity", unseen, message)


def add_reviews(draft: Draft, reviews: ReviewedFacts) -> None:
    """Add accepted facts to train, whose new labels become new ids, and keep rejected ones."""
    entity_ids = {label: i for i, label in enumerate(draft.entities)}
    relation_ids = {label: i for i, label in enumerate(draft.relations)}
    columns = [list(column) for column in zip(*reviews.accepted, strict=True)] or [[], [], []]
    heads, tails = translate_ids(columns[0], entity_ids), translate_ids(columns[2], entity_ids)
    kinds = translate_ids(columns[1], relation_ids)
    new_labels = [
        *list(entity_ids)[len(draft.entities) :],
        *list(relation_ids)[len(draft.relations) :],
    ]
    message = "labels of the reviewed facts are new to the graph"
    draft.log.report("review-new-label", message, new_labels, len(new_labels))
    draft.entities, draft.relations = list(entity_ids), list(relation_ids)
    known = [
        (entity_ids[head], relation_ids[relation], entity_ids[tail])
        for head, relation, tail in reviews.rejected
        if {head, tail} <= entity_ids.keys() and relation in relation_ids
    ]
    lost = len(reviews.rejected) - len(known)
    message = "rejected facts have a label that the graph does not have; left out"
    draft.log.report("review-unknown-label", message, (), lost)
    draft.triples["train"], draft.rejected, note = settle_reviews(
        draft.triples,
        np.stack([heads, kinds, tails], axis=1),
        np.array(known, dtype=np.int64).reshape(-1, 3),
        draft.sizes,
    )
    draft.split_notes.append(note)


def report_leaks(draft: Draft, redundant: Sequence[RelationPair]) -> None:
    """Count held-out facts that a train fact tells."""
    facts = np.concatenate([draft.triples[split] for split in SPLIT_NAMES])
    groups = group_facts(facts, redundant, *draft.sizes)
    start = len(draft.triples["train"])
    in_train = np.zeros(groups.max() + 1, dtype=np.bool_)
    in_train[groups[:start]] = True
    own = encode_triples(draft.triples["train"], *draft.sizes)
    for split in SPLIT_NAMES[1:]:
        part = draft.triples[split]
        leaking = in_train[groups[start : start + len(part)]]
        leaking &= ~is_member(encode_triples(part, *draft.sizes), own)
        start += len(part)
        draft.report_facts(
            "inverse-leak",
            part[leaking],
            f"{split} facts ({leaking.mean():.0%}) are told by a train fact: reversed, or of an "
            f"inverse or duplicate relation",
        )
