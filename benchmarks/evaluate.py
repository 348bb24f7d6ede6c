"""Time and memory of ranking a test split: momok, the plain method, and PyKEEN.

    python -m benchmarks.evaluate --size MKG-Y --repeats 3 --out evaluate.json --plot evaluate.png

Each ranks the same made-up test facts of the published sizes, both sides, filtered: momok and the
plain method with MoMoK of width 256 (structure, image, text, joint; every head and the answer),
PyKEEN's ``RankBasedEvaluator`` with its TuckER of width 256, which has one head and no modalities.
*Plain* does what the published evaluation does, a pass over the split for every head and a sort for
every query; *plain, one pass* ranks all heads in one and sorts a batch at a time. Implementations
take turns (``benchmarks/turns.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.charts import draw_turns
from benchmarks.train_step import (
    BATCH,
    EXPERTS,
    MODALITIES,
    SIZES,
    WIDTH,
    random_facts,
    random_features,
)
from benchmarks.turns import Measured, take_turns
from momok.runtime import describe_environment, start_runtime
from momok.settings import RuntimeSettings

PYKEEN_BATCH = 128  # its memory grows with queries x entities; 1024 of MKG-Y do not fit 24 GB
TEST_FACTS = {"MKG-Y": 2_663, "MKG-W": 4_276, "DB15K": 9_904, "KVC16K": 22_476, "tiny": 200}
Facts = np.ndarray[Any, np.dtype[np.int64]]


def split_facts(size: str) -> tuple[Facts, Facts]:
    """Made-up train and test facts; none of test is in train."""
    facts = random_facts(size)
    order = np.random.default_rng(1).permutation(len(facts))
    return facts[order[TEST_FACTS[size] :]], facts[order[: TEST_FACTS[size]]]


def build_plain(size: str, *, one_pass: bool = False) -> Callable[[], int]:
    """A function that ranks the test split the plain way and says how many queries it ranked.

    ``one_pass``: all heads from the same scores, where the published code has a pass for each.
    """
    from benchmarks.plain import (
        PlainMoMoK,
        PlainSizes,
        collect_answers,
        plain_rank,
        rank_as_published,
    )

    entities, relations, _ = SIZES[size]
    sizes = PlainSizes(
        num_entities=entities,
        num_relations=relations,
        widths=dict.fromkeys(MODALITIES, WIDTH),
        joint_width=WIDTH,
        relation_width=WIDTH,
        num_experts=EXPERTS,
    )
    model = PlainMoMoK(sizes, random_features(size)).eval()
    train, test = split_facts(size)
    known = collect_answers(np.concatenate([train, test]).tolist(), relations)
    tails = torch.from_numpy(test)
    reverse = torch.stack([tails[:, 2], tails[:, 1] + relations], dim=1)
    queries = torch.cat([tails[:, :2], reverse])
    answers = torch.cat([tails[:, 2], tails[:, 0]])
    heads = (*MODALITIES, "joint", "answer")

    def rank() -> int:
        if one_pass:
            plain_rank(model, queries, answers, known, batch_size=BATCH, heads=heads)
            return len(queries)
        for head in heads:
            rank_as_published(model, queries, answers, known, head=head, batch_size=BATCH)
        return len(queries)

    return rank


def build_momok(size: str) -> Callable[[], int]:
    """The same with momok's evaluation, tables of all groups included."""
    from momok.evaluation import evaluate
    from momok.graph import MultimodalGraph, Vocabulary
    from momok.model import ModalitySpec, MoMoK, MoMoKSpec

    entities, relations, _ = SIZES[size]
    train, test = split_facts(size)
    spec = MoMoKSpec(
        num_entities=entities,
        num_relations=relations,
        modalities=tuple(
            ModalitySpec(name=name, width=WIDTH, table_width=WIDTH) for name in MODALITIES
        ),
        experts=EXPERTS,
    )
    model = MoMoK(spec, features=random_features(size)).eval()
    graph = MultimodalGraph(
        name=size,
        entities=Vocabulary(tuple(f"e{i}" for i in range(entities))),
        relations=Vocabulary(tuple(f"r{i}" for i in range(relations))),
        train=train,
        valid=test[:1],
        test=test[1:],
    )

    def rank() -> int:
        evaluate(model, graph, "test")
        return 2 * len(graph.test)

    return rank


def build_pykeen(size: str) -> Callable[[], int]:
    """PyKEEN's evaluator on its TuckER: one head, no modalities, no experts."""
    from pykeen.evaluation import RankBasedEvaluator
    from pykeen.models import TuckER
    from pykeen.triples import CoreTriplesFactory

    entities, relations, _ = SIZES[size]
    train, test = split_facts(size)
    factory = CoreTriplesFactory(
        torch.from_numpy(train),
        num_entities=entities,
        num_relations=relations,
        create_inverse_triples=True,  # heads are asked for as tails of r reversed, as momok does
    )
    model = TuckER(triples_factory=factory, embedding_dim=WIDTH, relation_dim=WIDTH).eval()
    evaluator = RankBasedEvaluator(filtered=True)

    def rank() -> int:
        evaluator.evaluate(
            model,
            torch.from_numpy(test),
            batch_size=PYKEEN_BATCH,
            additional_filter_triples=[torch.from_numpy(train)],
            use_tqdm=False,
        )
        return 2 * len(test)

    return rank


IMPLEMENTATIONS: dict[str, Callable[[str], Callable[[], int]]] = {
    "plain": build_plain,
    "plain, one pass": partial(build_plain, one_pass=True),
    "momok": build_momok,
    "pykeen TuckER": build_pykeen,
}


def compare(found: Measured, plain: Measured) -> dict[str, float]:
    """How an implementation stands to the plain one."""
    return {
        "speedup_over_plain": found.speedup_over(plain),
        "memory_of_plain": found.peak_memory_bytes / plain.peak_memory_bytes,
    }


@click.command()
@click.option("--size", type=click.Choice(list(TEST_FACTS)), default="MKG-Y", show_default=True)
@click.option(
    "--only",
    "names",
    type=click.Choice(list(IMPLEMENTATIONS)),
    multiple=True,
    help="Implementations, the option repeated; all of them by default.",
)
@click.option("--repeats", default=3, show_default=True, help="Counted, after one other.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw it into this file.")
def main(
    size: str, names: tuple[str, ...], *, repeats: int, out: Path | None, plot: Path | None
) -> None:
    """Rank the same split with every implementation in turn."""
    builders = {name: partial(IMPLEMENTATIONS[name], size) for name in names or IMPLEMENTATIONS}
    measured = take_turns(builders, turns=repeats, warm_up=1)
    result: dict[str, Any] = {
        "size": size,
        "repeats": repeats,
        "environment": describe_environment(start_runtime(RuntimeSettings())),
        "implementations": {
            name: {
                "seconds": found.seconds,
                "median_seconds": found.median_seconds,
                "queries_per_second": found.given / found.median_seconds,
                "peak_memory_bytes": found.peak_memory_bytes,
            }
            | (compare(found, measured["plain"]) if "plain" in measured else {})
            for name, found in measured.items()
        },
    }
    text = json.dumps(result, indent=2)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    if plot is not None:
        draw_turns(result["implementations"], plot, title=f"seconds to rank the test split, {size}")
    click.echo(text)


if __name__ == "__main__":
    main()
