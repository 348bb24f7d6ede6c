"""Time and memory of a training step: momok against the plain method, and against the floor.

    python -m benchmarks.train_step --size MKG-Y --steps 7 --out step.json --plot step.png

Every implementation takes its steps in turn with the others (``benchmarks/turns.py``). Graphs and
features are random, of the published sizes: structure, image and text at width 256, K = 3, batch
1024, CLUB included. The floor is the arithmetic of one step, where shared work is done once, over
the rate of a large matrix product measured in the same run.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.charts import draw_turns
from benchmarks.turns import take_turns
from momok.runtime import describe_environment, start_runtime
from momok.settings import RuntimeSettings

SIZES = {  # entities, relations, training facts
    "MKG-Y": (15_000, 28, 21_310),
    "MKG-W": (15_000, 169, 34_196),
    "DB15K": (12_842, 279, 71_814),
    "KVC16K": (16_015, 4, 179_936),
    "tiny": (500, 5, 2_000),
}
MODALITIES = ("structure", "image", "text")
WIDTH, BATCH, EXPERTS = 256, 1024, 3


def random_facts(size: str) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Random facts with entity frequencies that fall off as in real graphs."""
    entities, relations, facts = SIZES[size]
    generator = np.random.default_rng(0)
    weights = 1.0 / np.arange(1, entities + 1) ** 0.8
    ids = generator.choice(entities, size=(facts, 2), p=weights / weights.sum())
    kinds = generator.integers(relations, size=facts)
    return np.unique(np.stack([ids[:, 0], kinds, ids[:, 1]], axis=1), axis=0)


def random_features(size: str) -> dict[str, torch.Tensor]:
    """Random unit vectors for the modalities that have features."""
    generator = torch.Generator().manual_seed(0)
    features = {}
    for name in MODALITIES[1:]:
        vectors = torch.randn(SIZES[size][0], WIDTH, generator=generator)
        features[name] = torch.nn.functional.normalize(vectors, dim=1, out=vectors)
    return features


def build_plain(size: str, precision: str) -> Callable[[], None]:  # noqa: ARG001
    """A function that takes one step of the plain method."""
    from benchmarks.plain import (
        PlainMoMoK,
        PlainSizes,
        build_clubs,
        build_labels,
        build_optimizers,
        collect_answers,
        plain_train_step,
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
    model = PlainMoMoK(sizes, random_features(size)).train()
    clubs = build_clubs(sizes)
    optimizers = build_optimizers(model, clubs, 5e-4)
    answers = collect_answers(random_facts(size).tolist(), relations)
    queries = torch.tensor(list(answers.keys()))
    generator = torch.Generator().manual_seed(0)

    def step() -> None:
        chosen = queries[torch.randperm(len(queries), generator=generator)[:BATCH]]
        labels = build_labels(answers, chosen[:, 0], chosen[:, 1], entities)
        plain_train_step(model, clubs, optimizers, (chosen[:, 0], chosen[:, 1], labels))

    return step


def build_momok(size: str, precision: str) -> Callable[[], None]:
    """A function that takes one step of momok's engine, with the settings of a default run."""
    from momok.model import ClubNetworks, ModalitySpec, MoMoK, MoMoKSpec
    from momok.settings import TrainingSettings
    from momok.training.candidates import choose_block
    from momok.training.kernels import choose_kernels
    from momok.training.losses import Logits
    from momok.training.optimizers import build_optimizer
    from momok.training.queries import TrainingQueries
    from momok.training.step import Disentanglement, training_step

    settings = TrainingSettings(learning_rate=5e-4)
    runtime = start_runtime(RuntimeSettings.model_validate({"precision": precision}))
    entities, relations, _ = SIZES[size]
    generator = torch.Generator().manual_seed(0)
    spec = MoMoKSpec(
        num_entities=entities,
        num_relations=relations,
        modalities=tuple(
            ModalitySpec(name=name, width=WIDTH, table_width=WIDTH) for name in MODALITIES
        ),
        experts=EXPERTS,
    )
    model = MoMoK(spec, features=random_features(size), generator=generator).train()
    model.noise_generator = generator
    clubs = ClubNetworks([WIDTH] * len(MODALITIES))
    exid = Disentanglement(clubs=clubs, optimizer=build_optimizer(clubs, settings), weight=1e-4)
    optimizer = build_optimizer(model, settings)
    queries = TrainingQueries(random_facts(size), relations)
    block = choose_block(model, BATCH, settings.memory_mb << 20, runtime.precision.itemsize)
    with runtime.autocast():  # a run of this size compiles where it can
        kernels, _ = choose_kernels(
            "auto",
            model,
            Logits,
            runtime.device,
            flops=float("inf"),
            queries=BATCH,
            block=block,
        )

    def step() -> None:
        batch = queries.batch(queries.permutation(generator)[:BATCH])
        with runtime.autocast():
            training_step(
                model,
                batch,
                optimizer,
                exid,
                generator=generator,
                block=block,
                kernels=kernels,
            )

    return step


IMPLEMENTATIONS: dict[str, tuple[Callable[[str, str], Callable[[], None]], str]] = {
    "plain float32": (build_plain, "float32"),
    "momok float32": (build_momok, "float32"),
    "momok auto": (build_momok, "auto"),
}


def measure_product_rate(dtype: torch.dtype) -> float:
    """FLOP/s of the score product [B, d] x [d, 4096], the shape most of a step's arithmetic has."""
    left, right = torch.randn(BATCH, WIDTH).to(dtype), torch.randn(WIDTH, 4096).to(dtype)
    out = torch.empty(BATCH, 4096, dtype=dtype)  # fresh memory would cost more than the product
    times = []
    for _ in range(15):
        before = time.perf_counter()
        torch.mm(left, right, out=out)
        times.append(time.perf_counter() - before)
    return 2 * BATCH * WIDTH * 4096 / statistics.median(times)


def count_flops(size: str) -> float:
    """Multiplications and additions of one step's matrix products, shared work done once."""
    entities, relations, _ = SIZES[size]
    heads = len(MODALITIES) + 1
    square = 2 * WIDTH * WIDTH
    rows = entities + BATCH  # both towers
    experts = len(MODALITIES) * rows * EXPERTS * square
    fusion = len(MODALITIES) * rows * 2 * square
    scores = heads * 2 * BATCH * entities * WIDTH
    matrices = heads * min(2 * relations, BATCH) * WIDTH * square
    queries = heads * BATCH * square
    clubs = 2 * len(MODALITIES) * BATCH * 2 * square
    return 3.0 * (experts + fusion + scores + matrices + queries + clubs)


@click.command()
@click.option("--size", type=click.Choice(list(SIZES)), default="MKG-Y", show_default=True)
@click.option("--steps", default=5, show_default=True, help="Counted steps, after two others.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw it into this file.")
def main(size: str, steps: int, out: Path | None, plot: Path | None) -> None:
    """Measure training steps of every implementation in turn."""
    builders = {
        name: partial(build, size, precision)
        for name, (build, precision) in IMPLEMENTATIONS.items()
    }
    measured = take_turns(builders, turns=steps, warm_up=2)
    runtime = start_runtime(RuntimeSettings())
    rates = {
        "float32": measure_product_rate(torch.float32),
        "bfloat16": measure_product_rate(torch.bfloat16),
    }
    flops = count_flops(size)
    plain = measured["plain float32"]
    result: dict[str, Any] = {
        "size": size,
        "steps": steps,
        "environment": describe_environment(runtime),
        "flops_per_step": flops,
        "product_rate": rates,
        "floor_seconds": {name: flops / rate for name, rate in rates.items()},
        "implementations": {
            name: {
                "seconds": found.seconds,
                "median_seconds": found.median_seconds,
                "peak_memory_bytes": found.peak_memory_bytes,
                "speedup_median": found.speedup_over(plain),
                "memory_ratio": plain.peak_memory_bytes / found.peak_memory_bytes,
            }
            for name, found in measured.items()
        },
    }
    text = json.dumps(result, indent=2)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    if plot is not None:
        automatic = str(runtime.precision).removeprefix("torch.")
        floors = {
            name: flops / rates[automatic if precision == "auto" else precision]
            for name, (_, precision) in IMPLEMENTATIONS.items()
        }
        draw_turns(
            result["implementations"],
            plot,
            title=f"seconds a training step, {size}",
            floors=floors,
        )
    click.echo(text)


if __name__ == "__main__":
    main()
