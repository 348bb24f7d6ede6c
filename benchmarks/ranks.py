"""Steps of one model in several processes: seconds, memory of each, and bytes that a rank sends.

    python -m benchmarks.ranks --out ranks.json

Made-up graphs as in ``benchmarks.scale``; one ComplEx head of width 256 with features of width 256
mapped into it, softmax over all candidates or a sample of 2,048, DURA and Adagrad, as a head of the
presets ``default`` and ``large`` has. One thread a process, float32. A process has as many rows as
the others; the first step is not counted.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import torch
import torch.distributed as dist

from benchmarks.scale import RELATIONS, make_facts
from momok.config import resolve_config
from momok.model import ModalitySpec, MoMoK, MoMoKSpec
from momok.runtime import describe_environment, start_runtime
from momok.settings import RuntimeSettings
from momok.shard import Shard
from momok.training.losses import choose_loss, dura
from momok.training.optimizers import build_optimizer
from momok.training.queries import TrainingQueries
from momok.training.step import training_step

WIDTH, BATCH, NEGATIVES = 256, 512, 2048


def measure(
    connection: Connection,
    store: str,
    place: tuple[int, int],
    *,
    entities: int,
    sampled: bool,
    steps: int,
) -> None:
    """Take steps as one rank of several; send the median, the peak memory and the bytes sent."""
    rank, count = place
    torch.set_num_threads(1)
    if count > 1:
        dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=count)
    sent = _count_bytes()
    facts = make_facts(entities)
    shard = Shard(entities, rank, count)
    generator = torch.Generator().manual_seed(0)
    spec = MoMoKSpec(
        num_entities=entities,
        num_relations=RELATIONS,
        modalities=(ModalitySpec(name="text", width=WIDTH, table_width=WIDTH, mapped=True),),
        decoder="complex",
        experts=0,
        joint_width=None,
        decoder_dropouts=(0.0, 0.0, 0.0),
        initial_scale=1e-3,
        softmax=True,
    )
    features = {
        "text": torch.randn(len(shard), WIDTH, generator=torch.Generator().manual_seed(rank))
    }
    model = MoMoK(spec, features=features, generator=generator, shard=shard).train()
    del features
    model.noise_generator = generator
    candidates = "sampled" if sampled else "all"
    settings = resolve_config("default", overrides={"training.candidates": candidates}).training
    optimizer = build_optimizer(model, settings)
    queries = TrainingQueries(facts, RELATIONS)
    seconds = []
    for turn in range(steps + 1):
        batch = queries.batch(queries.permutation(generator)[:BATCH])
        sent.clear()
        before = time.perf_counter()
        training_step(
            model,
            batch,
            optimizer,
            None,
            generator=generator,
            loss=choose_loss("softmax", sampled=sampled),
            regulariser=(dura, 0.05),
            negatives=NEGATIVES if sampled else None,
        )
        if turn:
            seconds.append(time.perf_counter() - before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    connection.send(
        {
            "seconds": statistics.median(seconds),
            "peak_memory_bytes": peak,
            "reduced_bytes": sum(sent),
        }
    )


def _count_bytes() -> list[int]:
    """The sizes of what is reduced over the ranks from now on."""
    sizes: list[int] = []
    reduce = dist.all_reduce

    def counted(values: torch.Tensor, *given: Any, **named: Any) -> Any:
        sizes.append(values.numel() * values.element_size())
        return reduce(values, *given, **named)

    dist.all_reduce = counted  # type: ignore[assignment]
    return sizes


@click.command()
@click.option("--entities", default="15000,150000,1500000", show_default=True)
@click.option("--ranks", default="1,2,3", show_default=True)
@click.option("--steps", default=5, show_default=True, help="Counted steps, after one other.")
@click.option("--mode", "modes", multiple=True, default=("all", "sampled"), show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(entities: str, ranks: str, steps: int, modes: tuple[str, ...], out: Path | None) -> None:
    """Measure training steps in one and in several processes."""
    context = multiprocessing.get_context("spawn")
    results: list[dict[str, Any]] = []
    for size in map(int, entities.split(",")):
        for mode in modes:
            for count in map(int, ranks.split(",")):
                with tempfile.TemporaryDirectory() as folder:
                    pipes = [context.Pipe() for _ in range(count)]
                    workers = [
                        context.Process(
                            target=measure,
                            args=(theirs, f"{folder}/store", (rank, count)),
                            kwargs={
                                "entities": size,
                                "sampled": mode == "sampled",
                                "steps": steps,
                            },
                        )
                        for rank, (_, theirs) in enumerate(pipes)
                    ]
                    for worker in workers:
                        worker.start()
                    found = [ours.recv() for ours, _ in pipes]
                    for worker in workers:
                        worker.join()
                results.append(
                    {
                        "entities": size,
                        "mode": mode,
                        "ranks": count,
                        "seconds": max(rank["seconds"] for rank in found),
                        "peak_memory_bytes": [rank["peak_memory_bytes"] for rank in found],
                        "reduced_bytes": found[0]["reduced_bytes"],
                    }
                )
                click.echo(json.dumps(results[-1]), err=True)
    environment = describe_environment(start_runtime(RuntimeSettings(threads=1)))
    text = json.dumps({"environment": environment, "results": results}, indent=2)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
