"""Entities that came after training: how well are they answered from their names alone?

    python -m benchmarks.encode_names $MOMOK_DATA/MKG-W data/MKG-W
    python -m benchmarks.new_entities data/MKG-W --runs runs --out new.jsonl

Some entities of MKG-W and MKG-Y occur in no train fact. They are taken out of the graph, as if they
did not exist yet, and a model is trained on what is left. Then every fact of valid and of test with
exactly one of them is a question, (new, relation, ?) or (?, relation, new), and the other entity
of the fact is ranked among those of train, without the other known answers. Models differ in what
training does with the features (``VARIANTS``). Rows of new entities are made with and without the
map of a trained table (``momok.prediction.new_entity_rows``), and heads vote alone or together.
Two ways need no model: entities by how often they answer the relation in train, and by what similar
entities answer (``momok.prediction.neighbours``), which is also let vote beside the heads.

Every measurement is one line of the JSON-lines file; models that are trained already are taken from
the folder of runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from momok.config import resolve_config
from momok.graph import MultimodalGraph, Vocabulary, load_graph
from momok.model.new_entities import encode_new_queries
from momok.prediction.neighbours import Neighbours
from momok.prediction.new_entity_rows import NewRows
from momok.training import RunFolder
from momok.training.checkpoint import load_model

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SETTINGS = (
    "preset=experts",
    "model.structure_width=48",
    "model.relation_width=48",
    "model.joint_width=48",
    "features.width=48",
    "model.input_dropout=0.1",
    "model.relation_dropout=0.1",
    "model.query_dropout=0.2",
    "training.epochs=12",
    "training.batch_size=512",
    "training.learning_rate=0.01",
    "training.learning_rate_decay=0.95",
    "training.validate_every=6",
    "runtime.threads=1",
    "runtime.device=cpu",
)
VARIANTS: Mapping[str, tuple[str, ...]] = {
    "trained": (),
    "frozen": ("features.trainable=false",),
    "projected": ("features.trainable=false", "features.reduce=project"),
}
MODALITY = "text"
SIMILAR = "answers of similar entities"
FEW = 10  # questions of a relation, below which it is not told apart
VOTES = {
    "text": (MODALITY,),
    "joint": ("joint",),
    "text, joint": (MODALITY, "joint"),
    "text, similar": (MODALITY, "similar"),
    "text, joint, similar": (MODALITY, "joint", "similar"),
}


@dataclass(frozen=True, eq=False)
class Questions:
    """Facts with one new entity, as queries of it.

    Attributes:
        new: [Q] the new entity, by its id in the whole graph.
        relations: [Q] up to 2R - 1.
        answers: [Q] the other entity, by its id in the graph of those seen.
        hidden: (rows, ids) of other known answers.
    """

    new: Ints
    relations: Ints
    answers: Ints
    hidden: tuple[Ints, Ints]


def keep_seen(graph: MultimodalGraph) -> tuple[MultimodalGraph, Ints]:
    """The graph of the entities that occur in train; and their ids there [N], -1 for the others."""
    seen = np.zeros(graph.num_entities, dtype=np.bool_)
    seen[graph.train[:, [0, 2]].ravel()] = True
    return keep_entities(graph, seen)


def keep_entities(graph: MultimodalGraph, mask: NDArray[np.bool_]) -> tuple[MultimodalGraph, Ints]:
    """The graph of some entities and the facts between them; and their ids [N], -1 for others."""
    kept = np.flatnonzero(mask)
    ids = np.where(mask, np.cumsum(mask) - 1, -1)

    def keep_facts(facts: Ints) -> Ints:
        heads, relations, tails = facts.T
        moved = np.stack([ids[heads], relations, ids[tails]], axis=1)
        return moved[(moved >= 0).all(axis=1)]

    less = MultimodalGraph(
        name=graph.name,
        entities=Vocabulary(tuple(graph.entities.labels[i] for i in kept)),
        relations=graph.relations,
        train=keep_facts(graph.train),
        valid=keep_facts(graph.valid),
        test=keep_facts(graph.test),
        features={
            name: replace(part, matrix=part.matrix[kept], present=part.present[kept])
            for name, part in graph.features.items()
        },
        entity_names=tuple(graph.entity_names[i] for i in kept),
        relation_names=graph.relation_names,
        split=graph.split,
    )
    return less, ids


def ask(graph: MultimodalGraph, ids: Ints, facts: Ints) -> Questions:
    """The facts that have exactly one new entity, which must have features."""
    heads, relations, tails = facts.T
    present = graph.features[MODALITY].present
    new_head = (ids[heads] < 0) & (ids[tails] >= 0) & present[heads]
    new_tail = (ids[heads] >= 0) & (ids[tails] < 0) & present[tails]
    new = np.concatenate([heads[new_head], tails[new_tail]])
    asked = np.concatenate([relations[new_head], relations[new_tail] + graph.num_relations])
    answers = ids[np.concatenate([tails[new_head], heads[new_tail]])]
    rows, others = graph.fact_index.lookup(new, asked)
    others = ids[others]
    other = (others >= 0) & (others != answers[rows])
    return Questions(new, asked, answers, (rows[other], others[other]))


def rank(scores: Floats, questions: Questions) -> Floats:
    """Filtered ranks [Q] of the answers by scores [Q, N]; of equals, the middle place."""
    scores = scores.copy()
    scores[questions.hidden] = -np.inf
    own = np.take_along_axis(scores, questions.answers[:, None], axis=1)
    better, equal = (scores > own).sum(axis=1), (scores == own).sum(axis=1)
    ranks: Floats = 1 + better + (equal - 1) / 2
    return ranks


def describe(ranks: Floats) -> dict[str, float]:
    """Metrics in percent, and the standard error of the MRR over questions."""
    inverse = 100 / ranks
    return {
        "facts": len(ranks),
        "mrr": float(inverse.mean()),
        "mrr_error": float(inverse.std(ddof=1) / np.sqrt(len(ranks))),
        **{f"hits@{k}": 100 * float((ranks <= k).mean()) for k in (1, 10)},
    }


def ask_similar(less: MultimodalGraph, whole: MultimodalGraph, questions: Questions) -> Floats:
    """What entities with similar texts answer [Q, N]; no model is needed for it."""
    neighbours = Neighbours(less.features, less.train, less.num_relations)
    matrix = whole.features[MODALITY].matrix
    votes = (
        neighbours.vote({MODALITY: matrix[new]}, int(relation)).probabilities
        for new, relation in zip(questions.new, questions.relations, strict=True)
    )
    return np.stack(list(votes))


def count_answers(graph: MultimodalGraph, questions: Questions) -> Floats:
    """The baseline's scores [Q, N]: how often an entity answers the relation in train."""
    counts = np.zeros((2 * graph.num_relations, graph.num_entities))
    heads, relations, tails = graph.train.T
    np.add.at(counts, (relations, tails), 1)
    np.add.at(counts, (relations + graph.num_relations, heads), 1)
    return counts[questions.relations]


@torch.no_grad()
def score(
    run: RunFolder, less: MultimodalGraph, whole: MultimodalGraph, questions: Questions
) -> Iterator[tuple[str, str, Floats]]:
    """(rows, votes, scores [Q, N]) for every way to make rows and every choice of heads."""
    model, _ = load_model(run.best_checkpoint)
    candidates = model.candidates().vectors
    new_rows = NewRows(less.features, less.train, run.config, model)
    vectors = whole.features[MODALITY].matrix[questions.new]
    similar = ask_similar(less, whole, questions)
    trainable = model.tables_by_name[MODALITY].spec.trainable
    for way, moved in (("map", True), ("as they are", False)):
        if moved and not trainable:
            continue
        rows = torch.from_numpy(new_rows.make(MODALITY, vectors, moved=moved))
        relations = torch.from_numpy(questions.relations)
        queries = encode_new_queries(model, {MODALITY: rows}, relations).vectors
        said = {
            head: torch.sigmoid((queries[head] @ candidates[head].T).double()).numpy()
            for head in queries
        } | {"similar": similar}
        for votes, heads in VOTES.items():
            yield way, votes, np.mean([said[head] for head in heads], axis=0)
    if trainable:
        found = new_rows.row_map(MODALITY)
        click.echo(
            f"map: strength {found.strength}, held-out squared error {found.error:.2e}, "
            f"of the features as they are {found.identity_error:.2e}",
            err=True,
        )


def get_run(less: MultimodalGraph, variant: str, seed: int, runs: Path) -> RunFolder:
    """The run of a variant, trained unless it is there."""
    import momok

    path = runs / f"{less.name}-{variant}-{seed}"
    if not (path / "results" / "test.json").is_file():
        config = resolve_config(overrides=[*SETTINGS, *VARIANTS[variant], f"seed={seed}"])
        momok.train(less, config, run=path, progress=False)
    return RunFolder(path)


def measure(graph: MultimodalGraph, variants: list[str], seed: int, runs: Path) -> Iterator[Any]:
    """All measurements, as they come."""
    less, ids = keep_seen(graph)
    questions = {split: ask(graph, ids, graph.facts(split)) for split in ("valid", "test")}
    for split, asked in questions.items():
        where = {"graph": graph.name, "split": split}
        found = describe(rank(count_answers(less, asked), asked))
        yield {"model": "answers in train", **where, **found}
        ranks = rank(ask_similar(less, graph, asked), asked)
        yield {"model": SIMILAR, **where, **describe(ranks)}
        for relation in np.flatnonzero(np.bincount(asked.relations) >= FEW):
            name = graph.relation_names[relation % graph.num_relations]
            side = "tail" if relation < graph.num_relations else "head"
            found = describe(ranks[asked.relations == relation])
            yield {"model": SIMILAR, "relation": name, "asked": side, **where, **found}
    for variant in variants:
        about: dict[str, Any] = {"graph": graph.name, "model": variant, "seed": seed}
        run = get_run(less, variant, seed, runs)
        seen = json.loads((run.path / "results" / "test.json").read_text(encoding="utf-8"))
        mrr = 100 * seen["by_tie_rule"]["realistic"]["answer"]["mrr"]
        yield {**about, "split": "test, seen entities", "mrr": mrr}
        for split, asked in questions.items():
            for way, votes, scores in score(run, less, graph, asked):
                found = describe(rank(scores, asked))
                yield {**about, "rows": way, "votes": votes, "split": split, **found}


@click.command()
@click.argument("graph")
@click.option("--variants", default=",".join(VARIANTS), show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Where runs go.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON lines.")
def main(graph: str, *, variants: str, seed: int, runs: Path, out: Path) -> None:
    """Train what is not there yet, measure, append to the file and print."""
    for found in measure(load_graph(graph), variants.split(","), seed, runs):
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(found) + "\n")
        named = [
            found[key]
            for key in ("model", "relation", "asked", "rows", "votes", "split")
            if key in found
        ]
        text = f"{' | '.join(named):48} MRR {found['mrr']:5.1f}"
        if "facts" in found:
            text += f" ± {found['mrr_error']:.1f}  Hits@10 {found['hits@10']:5.1f}"
            text += f"  of {found['facts']:,} facts"
        click.echo(text)


if __name__ == "__main__":
    main()
