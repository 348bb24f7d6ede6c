"""Time and memory of ``momok data check`` on a generated graph.

    python -m benchmarks.data_check --entities 1000000 --facts 5000000 --width 128

Tails are drawn by a power law, as in real graphs; a tenth of the facts are the reverse of others;
labels are URIs with escapes; one modality has random vectors for every entity. The check runs
in a process of its own, from the files on disk; processor seconds leave out what other processes
took.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

import click
import numpy as np
from safetensors.numpy import save_file

RELATIONS = 500


def write_graph(folder: Path, entities: int, facts: int, width: int) -> None:
    """Write a graph folder with features."""
    rng = np.random.default_rng(0)
    labels = [f"http://example.org/resource/Thing_{i}%20of_{i % 97}" for i in range(entities)]
    lines = [f"{label}\tThing {i}\tkind {i % 12}" for i, label in enumerate(labels)]
    (folder / "entities.tsv").write_text("label\tname\ttype\n" + "\n".join(lines) + "\n")
    about = {"format": "momok-graph", "version": 1, "name": "generated"}
    (folder / "graph.json").write_text(json.dumps(about))
    relations = rng.integers(0, RELATIONS, facts)
    heads = rng.integers(0, entities, facts)
    tails = (entities * rng.random(facts) ** 3).astype(np.int64)
    tenth = facts // 10  # are the reverse of others, by the next relation
    heads[:tenth], tails[:tenth] = tails[tenth : 2 * tenth], heads[tenth : 2 * tenth]
    relations[:tenth] = (relations[tenth : 2 * tenth] + 1) % RELATIONS
    order = rng.permutation(facts)
    parts = np.split(order, [facts * 8 // 10, facts * 9 // 10])
    for split, rows in zip(("train", "valid", "test"), parts, strict=True):
        with (folder / f"{split}.tsv").open("w") as file:
            file.writelines(
                f"{labels[heads[i]]}\tr{relations[i]}\t{labels[tails[i]]}\n" for i in rows
            )
    features = folder / "features"
    features.mkdir()
    vectors = rng.standard_normal((entities, width), dtype=np.float32).astype(np.float16)
    present = np.ones(entities, dtype=np.uint8)
    save_file({"vectors": vectors, "present": present}, features / "text.safetensors")
    manifest = {
        "format": "momok-features", "version": 1, "modality": "text", "width": width,
        "labels": labels,
    }  # fmt: skip
    (features / "text.json").write_text(json.dumps(manifest))


def examine(folder: Path) -> None:
    """Print the processor seconds of each stage and the peak memory, as JSON."""
    from momok.graph.doctor import check_graph

    stages: dict[str, list[float]] = {}
    begin = time.process_time()
    report = check_graph(
        folder, lambda what, _done, _total: stages.setdefault(what, []).append(time.process_time())
    )
    end = time.process_time()
    starts = [(what, times[0]) for what, times in stages.items()] + [("", end)]
    seconds = {what: round(after - start, 2) for (what, start), (_, after) in pairwise(starts)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    findings = [(a.kind, a.count) for a in report.problems]
    print(
        json.dumps(
            {
                "seconds": round(end - begin, 2),
                "stages": seconds,
                "peak GiB": round(peak, 2),
                "findings": findings,
            }
        )
    )


@click.command()
@click.option("--entities", default=1_000_000)
@click.option("--facts", default=5_000_000)
@click.option("--width", default=128)
@click.option("--folder", type=click.Path(path_type=Path), hidden=True)
def main(entities: int, facts: int, width: int, folder: Path | None) -> None:
    """Write a graph, examine it in another process, print what that took."""
    if folder is not None:
        examine(folder)
        return
    with tempfile.TemporaryDirectory() as name:
        write_graph(Path(name), entities, facts, width)
        arguments = [sys.executable, "-m", "benchmarks.data_check", "--folder", name]
        subprocess.run(arguments, check=True)


if __name__ == "__main__":
    main()
