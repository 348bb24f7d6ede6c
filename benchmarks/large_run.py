"""A whole run on a generated graph of many entities: its time and its peak memory.

    python -m benchmarks.large_run --entities 1500000 --out large_run.json

Training with sampled candidates for one epoch, a validation, both checkpoints, and the test of the
chosen one: what ``scale``, which measures steps, leaves out. Two modalities with random features.
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
@click.option("--entities", default=1_500_000, show_default=True)
@click.option("--facts", default=12_000, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
def main(entities: int, facts: int, out: Path | None) -> None:
    """Train a run into a folder that is thrown away (13 GB at 1.5 million entities)."""
    config = resolve_config(
        overrides={
            "preset": "experts",
            "model.structure_width": WIDTH,
            "model.relation_width": WIDTH,
            "model.joint_width": WIDTH,
            "features.width": WIDTH,
            "features.reduce": "none",
            "training.candidates": "sampled",
            "training.batch_size": 1024,
            "training.epochs": 1,
        }
    )
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = momok.train(make_graph(entities, facts), config, run=Path(folder) / "run")
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
