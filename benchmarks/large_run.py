"""A whole run on a generated graph of many entities: its time and its peak memory.

    python -m benchmarks.large_run --entities 300000 --facts 60000 --out large_run.json

One epoch of a preset, a validation, both checkpoints, the test of the chosen one, calibration and
plots: what ``scale``, which measures steps, leaves out. Two modalities with random features.
"""

from __future__ import annotations

import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

import momok
from momok.cli.train import finish_run
from momok.config import resolve_config
from momok.graph import FeatureManifest, Features, MultimodalGraph, Vocabulary
from momok.runtime import describe_environment, start_runtime
from momok.settings import RuntimeSettings

WIDTH, RELATIONS, HELD_OUT = 256, 20, 100
MODALITIES = ("image", "text")


def make_graph(entities: int, facts: int) -> MultimodalGraph:
    """Random facts, every entity with features."""
    generator = np.random.default_rng(0)
    kinds = generator.integers(RELATIONS, size=facts)
    ends = generator.integers(entities, size=(facts, 2))
    triples = np.unique(np.stack([ends[:, 0], kinds, ends[:, 1]], axis=1), axis=0)
    generator.shuffle(triples)
    present = np.ones(entities, dtype=np.bool_)
    features = {
        name: Features(
            generator.standard_normal((entities, WIDTH), dtype=np.float32),
            present,
            FeatureManifest(modality=name, width=WIDTH),
        )
        for name in MODALITIES
    }
    return MultimodalGraph(
        name="generated",
        entities=Vocabulary(tuple(f"e{i}" for i in range(entities))),
        relations=Vocabulary(tuple(f"r{i}" for i in range(RELATIONS))),
        train=triples[2 * HELD_OUT :],
        valid=triples[:HELD_OUT],
        test=triples[HELD_OUT : 2 * HELD_OUT],
        features=features,
    )


@click.command()
@click.option("--entities", default=300_000, show_default=True)
@click.option("--facts", default=60_000, show_default=True)
@click.option("--preset", default="large", show_default=True)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Single settings.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(
    entities: int, facts: int, preset: str, overrides: tuple[str, ...], out: Path | None
) -> None:
    """Train a run into a folder that is thrown away (13 GB at 1.5 million entities)."""
    config = resolve_config(preset, overrides=("training.epochs=1", *overrides))
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        graph = make_graph(entities, facts)
        run = momok.train(graph, config, run=Path(folder) / "run", finish=finish_run)
        timing = [json.loads(line) for line in (run.path / "timing.jsonl").open()]
    result: dict[str, Any] = {
        "entities": entities,
        "facts": facts,
        "seconds": time.perf_counter() - started,
        "timing": timing,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "environment": describe_environment(start_runtime(RuntimeSettings())),
    }
    text = json.dumps(result, indent=2)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
