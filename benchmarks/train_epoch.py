"""Seconds an epoch of ComplEx: momok's engine, the same in plain PyTorch, and PyKEEN.

    python -m benchmarks.train_epoch MKG-W --epochs 5 --out epoch.json

One ComplEx of width 256 (128 complex numbers) that learns from the facts alone in both directions,
softmax cross-entropy, DURA and Adagrad; with 2,048 sampled entities, and with all. Of the preset
``default`` it is one of its parts (a member of a head). The plain one is what a researcher writes:
embedding tables with sparse gradients, a matrix product and ``cross_entropy``. PyKEEN (where it is
installed) has ComplEx of the same size with inverse triples, LCWA, cross-entropy, and Adagrad,
without a regulariser. Each takes its epochs in turn with the others (``benchmarks/turns.py``).
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.turns import take_turns
from momok.config import resolve_config
from momok.graph import load_graph
from momok.runtime import build_generator, describe_environment, start_runtime

WIDTH, BATCH, NEGATIVES = 256, 512, 2048
RATE, DURA = 0.1, 0.05


def build_momok(graph: str, candidates: str) -> Callable[[], Any]:
    """A function that trains an epoch with momok's engine, preset ``complex``."""
    from momok.training.build import build_model
    from momok.training.part_trainer import PartTrainer
    from momok.training.queries import TrainingQueries
    from momok.training.training_state import build_learners

    config = resolve_config("complex", overrides={"training.candidates": candidates})
    loaded = load_graph(graph)
    model = build_model(loaded, config, build_generator(config.seed, "model")).train()
    [learner] = build_learners(model, config)
    runtime = start_runtime(config.runtime)
    queries = TrainingQueries(loaded.train, loaded.num_relations)
    trainer = PartTrainer(learner, queries, config.training, runtime)
    return partial(trainer.train_epoch, lambda _: True)


class PlainComplEx(nn.Module):
    """ComplEx (Trouillon et al. 2016) with a relation for each direction."""

    def __init__(self, entities: int, relations: int) -> None:
        super().__init__()
        self.entities = nn.Embedding(entities, WIDTH, sparse=True)
        self.relations = nn.Embedding(2 * relations, WIDTH, sparse=True)
        for table in (self.entities, self.relations):
            nn.init.normal_(table.weight, std=1e-3)

    def forward(
        self, heads: Tensor, relations: Tensor, tails: Tensor, sampled: Tensor | None
    ) -> Tensor:
        """The loss of facts [B]."""
        h, r, t = self.entities(heads), self.relations(relations), self.entities(tails)
        (a, b), (c, d) = h.chunk(2, 1), r.chunk(2, 1)
        query = torch.cat([a * c - b * d, a * d + b * c], 1)
        if sampled is None:
            scores, right = query @ self.entities.weight.T, tails
        else:
            weight = math.log(self.entities.num_embeddings / len(sampled))
            others = query @ self.entities(sampled).T + weight
            others = others.masked_fill(sampled == tails[:, None], -torch.inf)
            scores = torch.cat([(query * t).sum(1, keepdim=True), others], 1)
            right = torch.zeros(len(heads), dtype=torch.int64)
        dura = query.square().sum(1) + t.square().sum(1)
        loss: Tensor = functional.cross_entropy(scores, right) + DURA * dura.mean()
        return loss


def build_plain(graph: str, candidates: str) -> Callable[[], Any]:
    """A function that trains an epoch in plain PyTorch."""
    loaded = load_graph(graph)
    forward = torch.from_numpy(loaded.train)
    reverse = forward.flip(1) + torch.tensor([0, loaded.num_relations, 0])
    facts = torch.cat([forward, reverse])
    model = PlainComplEx(loaded.num_entities, loaded.num_relations)
    if candidates == "all":
        model.entities.sparse = False  # every row has a gradient
    optimizer = torch.optim.Adagrad(model.parameters(), lr=RATE)

    def train_epoch() -> None:
        for batch in torch.split(facts[torch.randperm(len(facts))], BATCH):
            sampled = None
            if candidates == "sampled":
                sampled = torch.randint(loaded.num_entities, (NEGATIVES,))
            optimizer.zero_grad()
            model(*batch.T, sampled).backward()
            optimizer.step()

    return train_epoch


def build_pykeen(graph: str) -> Callable[[], Any]:
    """A function that trains an epoch with PyKEEN; it scores all entities."""
    from pykeen.models import ComplEx  # type: ignore[import-not-found, unused-ignore]
    from pykeen.training import LCWATrainingLoop  # type: ignore[import-not-found, unused-ignore]
    from pykeen.triples import CoreTriplesFactory  # type: ignore[import-not-found, unused-ignore]

    loaded = load_graph(graph)
    factory = CoreTriplesFactory.create(
        torch.from_numpy(loaded.train),
        num_entities=loaded.num_entities,
        num_relations=loaded.num_relations,
        create_inverse_triples=True,
    )
    model = ComplEx(triples_factory=factory, embedding_dim=WIDTH // 2, loss="crossentropy")
    optimizer = torch.optim.Adagrad(model.get_grad_params(), lr=RATE)
    loop = LCWATrainingLoop(model=model, triples_factory=factory, optimizer=optimizer)
    done = itertools.count(1)

    def train_epoch() -> None:
        epoch = next(done)  # it counts those of earlier calls
        loop.train(
            triples_factory=factory,
            num_epochs=epoch,
            continue_training=epoch > 1,
            batch_size=BATCH,
            use_tqdm=False,
            use_tqdm_batch=False,
        )

    return train_epoch


@click.command()
@click.argument("graph")
@click.option("--epochs", default=5, show_default=True, help="Counted epochs, after one other.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(graph: str, epochs: int, out: Path | None) -> None:
    """Time the epochs of every implementation in turn on a GRAPH."""
    builders: dict[str, Callable[[], Callable[[], Any]]] = {
        f"{name}, {candidates}": partial(build, graph, candidates)
        for candidates in ("sampled", "all")
        for name, build in (("momok", build_momok), ("PyTorch", build_plain))
    }
    if importlib.util.find_spec("pykeen"):
        builders["PyKEEN, all"] = partial(build_pykeen, graph)
    measured = take_turns(builders, turns=epochs, warm_up=1)
    rows: dict[str, dict[str, Any]] = {
        name: {
            "seconds": found.seconds,
            "median_seconds": found.median_seconds,
            "peak_memory_bytes": found.peak_memory_bytes,
            "speedup_median": measured["momok, " + name.split(", ")[1]].speedup_over(found),
        }
        for name, found in measured.items()
    }
    runtime = start_runtime(resolve_config("complex").runtime)
    result = {"graph": graph, "environment": describe_environment(runtime), "epochs": rows}
    if out is not None:
        out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    click.echo("| | seconds an epoch, median | momok is faster by | peak memory |")
    click.echo("|---|---|---|---|")
    for name, row in rows.items():
        click.echo(
            f"| {name} | {row['median_seconds']:.2f} | {row['speedup_median']:.2f} x "
            f"| {row['peak_memory_bytes'] / 1e9:.2f} GB |"
        )


if __name__ == "__main__":
    main()
