"""Step time and memory as the number of entities grows: all candidates, and a sample of them.

    python -m benchmarks.scale --limit-gb 20 --out scale.json --plot scale.png

Graphs are made up, with degrees that fall off as in real ones and twelve facts for every ten
entities; structure, image and text of width 256, K = 3, batch 1024, CLUB included. Every
measurement has a process of its own, whose memory is limited: a mode that does not fit ends there,
and the result says so.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import statistics
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from benchmarks.train_step import BATCH, EXPERTS, MODALITIES, WIDTH
from momok.runtime import describe_environment, start_runtime
from momok.settings import RuntimeSettings, TrainingSettings

RELATIONS = 28
FACTS_PER_ENTITY = 1.2
MODES = {"all": None, "sampled": 8192}  # negatives
COLOURS = {"all": "#4477aa", "sampled": "#cc6677"}


def make_facts(entities: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Facts whose entities occur as 1 / rank ** 0.8, every entity in the range of being drawn."""
    generator = np.random.default_rng(0)
    facts = int(entities * FACTS_PER_ENTITY)
    # the inverse of the distribution function: no table of probabilities, no search
    places = generator.random((facts, 2)) ** (1 / (1 - 0.8))
    ids = np.minimum((places * entities).astype(np.int64), entities - 1)
    kinds = generator.integers(RELATIONS, size=facts)
    return np.unique(np.stack([ids[:, 0], kinds, ids[:, 1]], axis=1), axis=0)


def measure(connection: Connection, entities: int, mode: str, steps: int, limit: int) -> None:
    """Take steps in this process; send their times, its peak memory, or why it stopped."""
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        seconds = _take_steps(entities, mode, steps)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        connection.send({"seconds": seconds, "peak_memory_bytes": peak})
    except (MemoryError, RuntimeError) as error:
        connection.send({"stopped": str(error).splitlines()[0][:200]})


def _take_steps(entities: int, mode: str, steps: int) -> list[float]:
    from momok.model import ClubNetworks, ModalitySpec, MoMoK, MoMoKSpec
    from momok.training.optimizers import build_optimizer
    from momok.training.queries import TrainingQueries
    from momok.training.step import Disentanglement, training_step

    runtime = start_runtime(RuntimeSettings())
    generator = torch.Generator().manual_seed(0)
    spec = MoMoKSpec(
        num_entities=entities,
        num_relations=RELATIONS,
        modalities=tuple(
            ModalitySpec(name=name, width=WIDTH, table_width=WIDTH) for name in MODALITIES
        ),
        experts=EXPERTS,
    )
    model = MoMoK(spec, generator=generator).train()
    model.noise_generator = generator
    clubs = ClubNetworks([WIDTH] * len(MODALITIES))
    settings = TrainingSettings(
        learning_rate=5e-4, candidates="all" if MODES[mode] is None else "sampled"
    )
    exid = Disentanglement(clubs=clubs, optimizer=build_optimizer(clubs, settings), weight=1e-4)
    optimizer = build_optimizer(model, settings)
    queries = TrainingQueries(make_facts(entities), RELATIONS)
    seconds = []
    for turn in range(steps + 1):
        batch = queries.batch(queries.permutation(generator)[:BATCH])
        before = time.perf_counter()
        with runtime.autocast():
            training_step(model, batch, optimizer, exid, generator=generator, negatives=MODES[mode])
        if turn:
            seconds.append(time.perf_counter() - before)
    return seconds


def draw(results: list[dict[str, Any]], path: Path) -> None:
    """Step time and peak memory over the number of entities, both axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for mode, colour in COLOURS.items():
        done = [r for r in results if r["mode"] == mode and "seconds" in r]
        entities = [r["entities"] for r in done]
        for axes, key, unit in ((left, "median_seconds", 1.0), (right, "peak_memory_bytes", 2**30)):
            values = [r[key] / unit for r in done]
            axes.plot(entities, values, "o-", color=colour, label=mode)
    for axes, title in ((left, "seconds a step"), (right, "peak memory, GiB")):
        axes.set(xscale="log", yscale="log", xlabel="entities", title=title)
        axes.grid(alpha=0.3)
        axes.legend(title="candidates")
    figure.savefig(path, dpi=130)


@click.command()
@click.option("--entities", default="15000,150000,1500000", show_default=True)
@click.option("--steps", default=3, show_default=True, help="Counted steps, after one other.")
@click.option("--limit-gb", default=20.0, show_default=True, help="Memory a process may take.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw it into this file.")
def main(entities: str, steps: int, limit_gb: float, out: Path | None, plot: Path | None) -> None:
    """Measure training steps for graphs of several sizes, in both modes."""
    context = multiprocessing.get_context("spawn")
    results: list[dict[str, Any]] = []
    for count in map(int, entities.split(",")):
        for mode in MODES:
            ours, theirs = context.Pipe()
            worker = context.Process(
                target=measure, args=(theirs, count, mode, steps, int(limit_gb * 2**30))
            )
            worker.start()
            theirs.close()
            try:
                found = ours.recv()
            except EOFError:
                found = {"stopped": "the process was ended by the system"}
            worker.join()
            if "seconds" in found:
                found["median_seconds"] = statistics.median(found["seconds"])
            results.append({"entities": count, "mode": mode, **found})
            click.echo(json.dumps(results[-1]), err=True)
    result = {
        "limit_gb": limit_gb,
        "environment": describe_environment(start_runtime(RuntimeSettings())),
        "results": results,
    }
    text = json.dumps(result, indent=2)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    if plot is not None:
        draw(results, plot)
    click.echo(text)


if __name__ == "__main__":
    main()
