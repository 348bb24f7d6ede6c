"""Relations and facts that look like a source that was read wrongly."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from momok.graph.doctor.report import Problem, count_problem
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph
from momok.graph.sources.columns import count_known_names

_NUMBER = re.compile(r"[+-]?\d[\d.,: /-]*(?:[eE][+-]?\d+)?(?:T[\d:.Z+-]+)?|\"[^\"]*\"(?:\^\^|@).*")
_TEXT = re.compile(r"(?:\S+\s+){6,}\S+")  # seven words or more
_ENOUGH = 8  # facts that say something about their relation
_SHARE = 0.95  # of the tails


def check_relations(graph: MultimodalGraph) -> Iterator[Problem]:
    """Find relations to numbers, texts or things that nothing else is about, and mixed columns."""
    facts = np.unique(np.concatenate([graph.facts(split) for split in SPLIT_NAMES]), axis=0)
    degrees = np.bincount(facts[:, [0, 2]].ravel(), minlength=graph.num_entities)
    sizes = np.bincount(facts[:, 1], minlength=graph.num_relations)
    is_head = np.bincount(facts[:, 0], minlength=graph.num_entities) > 0
    labels = graph.entities.labels
    literals, lone = list[tuple[int, str]](), list[tuple[int, str]]()
    for relation in np.flatnonzero(sizes >= _ENOUGH).tolist():
        own = facts[facts[:, 1] == relation]
        tails = np.unique(own[:, 2])
        name = graph.relations.labels[relation]
        values = [bool(_NUMBER.fullmatch(labels[i]) or _TEXT.fullmatch(labels[i])) for i in tails]
        heads_are_things = not _NUMBER.fullmatch(labels[own[0, 0]])
        if not is_head[tails].any() and np.mean(values) >= _SHARE and heads_are_things:
            literals.append((len(own), f"{name}: {len(tails):,} tails, such as {labels[tails[0]]}"))
        elif (degrees[own[:, 2]] == 1).mean() >= _SHARE:
            lone.append((len(own), f"{name}: {len(tails):,} tails, each in this one fact"))
    yield from count_problem(
        *("labels", "literal-tails", "warning"),
        count=sum(count for count, _ in literals),
        total=len(facts),
        unit="facts",
        what="are of relations whose tails are numbers or texts and no entities",
        effect="each value is a candidate for every question; what it says is not learned from",
        examples=(example for _, example in sorted(literals, reverse=True)),
        remedy="momok data build --leave-out RELATION, and give the values in --entities",
    )
    yield from count_problem(
        *("labels", "lone-tails", "note"),
        count=sum(count for count, _ in lone),
        total=len(facts),
        unit="facts",
        what="are of relations whose tails are in no other fact",
        effect="nothing can be learned about these tails; no such fact can be predicted",
        examples=(example for _, example in sorted(lone, reverse=True)),
        remedy="momok data build --leave-out RELATION, if they are links, codes or the like",
    )
    single = int((sizes == 1).sum())
    if graph.num_relations >= _ENOUGH and single > graph.num_relations / 2:
        yield from count_problem(
            *("labels", "unrepeated-relations", "error"),
            count=single,
            total=graph.num_relations,
            unit="relations",
            what="have one fact alone: is another column the relation?",
            effect="a relation that never comes again cannot be learned",
            examples=(graph.relations.labels[i] for i in np.flatnonzero(sizes == 1)),
            remedy="momok data build --columns HEAD,RELATION,TAIL",
        )
    headers = [
        [labels[h], graph.relations.labels[r], labels[t]]
        for h, r, t in facts[sizes[facts[:, 1]] == 1].tolist()
        if degrees[h] == degrees[t] == 1
    ]
    headers = [names for names in headers if count_known_names(names) >= 2]
    yield from count_problem(
        *("labels", "header-fact", "error"),
        count=len(headers),
        total=len(facts),
        unit="facts",
        what="look like the header of a table",
        effect="the names of columns are entities and a relation",
        examples=(" | ".join(names) for names in headers),
        remedy="momok data build --header",
    )
