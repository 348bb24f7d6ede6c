"""Facts that are in the wrong place: repeated, in two splits, about what train never shows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from momok.arrays import Ints
from momok.graph.doctor.report import (
    MAX_EXAMPLES,
    Problem,
    Severity,
    count_problem,
    grade,
    quote_source,
)
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph, SplitName
from momok.graph.text_files import Finding
from momok.graph.triples import Triples, encode_triples, is_member, mark_unseen

_KINDS: dict[str, tuple[Severity, str, str]] = {
    "changed": (
        "warning",
        "none if it was you who changed them; else this is not the graph that was built",
        "momok data build GRAPH --out FOLDER takes the tables as they are now",
    ),
    "malformed": (
        "error",
        "these lines are no facts to momok: what they say is lost",
        "mend the lines: each is named, and momok data info GRAPH --strict stops at the first",
    ),
    "unknown-label": (
        "error",
        "these facts are lost",
        "add the labels to the list of entities or relations, or mend their spelling",
    ),
    "duplicate": (
        "note",
        "none in momok, which keeps a fact once; programs that do not would weigh it twice",
        "nothing to do; remove the lines if other programs read the folder",
    ),
    "unknown-fact": (
        "warning",
        "the weights and texts of these rows are of no fact",
        "mend the labels of these rows of facts.tsv, or remove them",
    ),
    "missing-picture": (
        "warning",
        "these entities have no picture",
        "put the files there, or blank the column picture in entities.tsv",
    ),
}
# What is counted from facts and features themselves, or says nothing of their quality.
_COUNTED_ELSEWHERE = ("overlap", "unseen-entity", "recorded-split", "feature-rows")


def check_splits(graph: MultimodalGraph) -> Iterator[Problem]:
    """Check the splits, and pass on what reading found."""
    for finding in graph.findings:
        if finding.kind not in _COUNTED_ELSEWHERE:
            yield _pass_on(finding)
    yield from _check_overlaps(graph)
    yield from _check_unseen(graph)
    yield from _check_isolated(graph)
    yield from _check_loops(graph)


def show_fact(graph: MultimodalGraph, fact: Ints) -> str:
    """A fact as its three labels."""
    head, relation, tail = fact
    labels = graph.entities.labels
    return f"{labels[head]} | {graph.relations.labels[relation]} | {labels[tail]}"


def _show_all(graph: MultimodalGraph, facts: Triples) -> Iterator[str]:
    return (show_fact(graph, fact) for fact in facts)


def _pass_on(finding: Finding) -> Problem:
    severity, effect, remedy = _KINDS.get(finding.kind, ("note", "not estimated", "see docs"))
    return Problem(
        check="splits",
        kind=finding.kind,
        severity=severity,
        count=finding.count,
        unit="lines",
        message=finding.message,
        effect=effect,
        remedy=remedy,
        examples=finding.examples[:MAX_EXAMPLES],
    )


def _check_overlaps(graph: MultimodalGraph) -> Iterator[Problem]:
    sizes = graph.num_entities, graph.num_relations
    keys = {split: encode_triples(graph.facts(split), *sizes) for split in SPLIT_NAMES}
    others = np.concatenate([keys["train"], keys["test"]])
    usable = int((~is_member(keys["valid"], others)).sum())  # in no other split
    pairs: tuple[tuple[SplitName, SplitName], ...] = (
        ("test", "train"),
        ("valid", "train"),
        ("valid", "test"),
    )
    for split, other in pairs:
        shared = is_member(keys[split], keys[other])
        share = float(shared.sum() / max(1, len(shared)))
        yield from count_problem(
            *("splits", "overlap", grade(share)),
            count=int(shared.sum()),
            total=len(shared),
            unit=f"{split} facts",
            what=f"are also in {other}",
            effect=_describe_overlap(split, other, share, usable),
            examples=_show_all(graph, graph.facts(split)[shared]),
            remedy=(
                "momok train mends this by default (data.split=clean); momok data info "
                f"{quote_source(graph.source)} shows how"
            ),
        )


def _describe_overlap(split: str, other: str, share: float, usable: int) -> str:
    if split == "test":
        return (
            f"these questions were told in training: test MRR is at most {100 * share:.2f} points "
            f"higher than on the others"
        )
    if other == "train":
        return (
            f"a model chosen on them is chosen for its memory; {usable:,} validation facts are "
            f"in no other split"
        )
    return f"a model chosen on them has seen the test; {usable:,} are in no other split"


def _check_unseen(graph: MultimodalGraph) -> Iterator[Problem]:
    shown = np.zeros(graph.num_relations, dtype=np.bool_)
    shown[graph.train[:, 1]] = True
    for split in ("test", "valid"):
        facts = graph.facts(split)
        for what, marks in (
            ("entity", mark_unseen(graph.train, facts, graph.num_entities)),
            ("relation", ~shown[facts[:, 1]]),
        ):
            share = float(marks.sum() / max(1, len(marks)))
            severity: Severity = "note" if split == "valid" or grade(share) == "note" else "warning"
            article = "an" if what == "entity" else "a"
            yield from count_problem(
                *("splits", f"unseen-{what}", severity),
                count=int(marks.sum()),
                total=len(facts),
                unit=f"{split} facts",
                what=f"have {article} {what} that is in no train fact",
                effect=(
                    f"structure says nothing about them: they can lower MRR by at most "
                    f"{100 * share:.2f} points; compare models with and without them"
                ),
                examples=_show_all(graph, facts[marks]),
                remedy=(
                    "momok evaluate RUN --by seen reports them apart; momok data build of facts "
                    "without a split gives every entity and relation a train fact"
                ),
            )


def _check_isolated(graph: MultimodalGraph) -> Iterator[Problem]:
    used = np.zeros(graph.num_entities, dtype=np.bool_)
    for split in SPLIT_NAMES:
        used[graph.facts(split)[:, ::2]] = True
    isolated = np.flatnonzero(~used)
    severity: Severity = "warning" if len(isolated) >= 0.1 * graph.num_entities else "note"
    yield from count_problem(
        *("splits", "isolated-entity", severity),
        count=len(isolated),
        total=graph.num_entities,
        unit="entities",
        what="are in no fact of any split",
        effect="they are candidates of every query and never an answer; they cost memory and time",
        examples=(graph.entities.labels[i] for i in isolated),
        remedy="leave them if they are to be predicted; else take them out of the entity list",
    )


def _check_loops(graph: MultimodalGraph) -> Iterator[Problem]:
    facts = np.concatenate([graph.facts(split) for split in SPLIT_NAMES])
    loops = facts[facts[:, 0] == facts[:, 2]]
    yield from count_problem(
        *("splits", "self-loop", "note"),
        count=len(loops),
        total=len(facts),
        unit="facts",
        what="join an entity with itself",
        effect="often a slip of extraction; a model learns that an entity can be its own answer",
        examples=_show_all(graph, loops),
        remedy="take the facts out where the relation cannot hold of a thing and itself",
    )
