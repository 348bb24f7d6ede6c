"""Numbers that a change of structure must not change: losses, weights, ranks, predictions.

    python -m benchmarks.frozen --out before.json     # at the commit before
    python -m benchmarks.frozen --out after.json --against before.json

Trains small models on the world graph (both losses, all and sampled candidates, both precisions)
and, where MOMOK_DATA has it, one epoch of MKG-Y; on one thread, so that other work on the machine
changes nothing. Everything is compared to the bit: floats are written in full, files by their hash.
Bits depend on processor and PyTorch: compare runs of one machine.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import click
from safetensors.numpy import load_file

import momok
from momok.errors import DataError
from momok.prediction.missing.facts import BulkOptions
from momok.prediction.missing.resume import write_new_facts

# name -> graph, settings
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "world-float32": ("world", {"training.epochs": 2, "runtime.precision": "float32"}),
    "world-bfloat16": ("world", {"training.epochs": 2, "runtime.precision": "bfloat16"}),
    "world-paper": (
        "world",
        {
            "training.epochs": 2,
            "runtime.precision": "float32",
            "training.loss": "probabilities",
            "model.score_prior": False,
            "features.reduce": "pool",
            "features.missing": "mean",
        },
    ),
    "world-default": ("world", {"preset": "default", "training.epochs": 2}),
    "world-sampled": (
        "world",
        {
            "training.epochs": 2,
            "runtime.precision": "float32",
            "training.candidates": "sampled",
            "training.negatives": 512,
        },
    ),
    "MKG-Y-float32": ("MKG-Y", {"training.epochs": 1, "runtime.precision": "float32"}),
    "MKG-Y-bfloat16": ("MKG-Y", {"training.epochs": 1, "runtime.precision": "bfloat16"}),
}
_ASKED = 100  # questions, and new facts


def measure(graph: str, settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Train, test, predict and search; say what came out."""
    config = momok.resolve_config(
        overrides={"preset": "experts", **settings, "runtime.threads": 1, "runtime.compile": "off"}
    )
    run = momok.train(momok.load_graph(graph), config, run=folder / "run", progress=False)
    predictor = momok.Predictor(run, calibrated=False)
    facts = run.load_graph().test[:_ASKED].tolist()
    answers = predictor.predict_many([(head, relation, None) for head, relation, _ in facts], 5)
    new = folder / "new.csv"
    write_new_facts(predictor.scorer, new, top=_ASKED, options=BulkOptions(per_relation=_ASKED))
    results = json.loads((run.path / "results" / "test.json").read_text())
    return {
        "losses": [record["loss"] for record in run.records("epoch")],
        "weights": _hash_tensors(run.best_checkpoint),
        "results": _hash(json.dumps(results, sort_keys=True).encode()),
        "predictions": _hash(
            json.dumps([[(a.label, a.score) for a in one] for one in answers]).encode()
        ),
        "new_facts": _hash(new.read_bytes()),
        "scores": predictor.score_facts(run.load_graph().test[:_ASKED]).answer.tolist(),
    }


def _hash_tensors(path: Path) -> str:
    """Of the weights alone, whatever else their file says."""
    tensors = load_file(path)
    return _hash(
        b"".join(f"{k}{v.shape}".encode() + v.tobytes() for k, v in sorted(tensors.items()))
    )


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


@click.command()
@click.option("--out", type=Path, required=True, help="The JSON file to write.")
@click.option("--against", type=Path, help="An earlier one to compare with.")
@click.option("--case", "cases", multiple=True, help="Only these cases.")
def main(out: Path, against: Path | None, cases: tuple[str, ...]) -> None:
    """Measure, write, and compare."""
    found: dict[str, Any] = {}
    for name, (graph, settings) in CASES.items():
        if cases and name not in cases:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                found[name] = measure(graph, settings, Path(folder))
            except DataError as error:
                click.echo(f"{name}: left out: {error}")
                continue
        click.echo(f"{name}: {found[name]['losses']} {found[name]['weights']}")
    out.write_text(json.dumps(found, indent=1))
    if against is None:
        return
    before = json.loads(against.read_text())
    different = [
        f"{name}.{key}"
        for name, values in found.items()
        for key, value in values.items()
        if before.get(name, {}).get(key) != value
    ]
    click.echo("the same to the bit" if not different else f"different: {', '.join(different)}")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
