"""What stands for a missing modality: test MRR under every policy, as vectors are taken away.

    python -m benchmarks.missing world --out missing.jsonl --plot missing.png

For every share, seed and policy a run of its own: the vectors of that share of the entities that
have the modality are taken away (which ones depends on share and seed alone, so policies are
compared on the same graph), a model is trained with ``features.missing`` set, chosen by validation
and tested once. Every run is one line of the JSON-lines file as soon as it is done; what is in the
file already is not done again.
"""

from __future__ import annotations

import json
import math
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np

from benchmarks.quality import STUDENT, WORLD_SETTINGS
from momok.config import resolve_config
from momok.graph import MultimodalGraph, load_graph
from momok.settings import FeatureSettings

POLICIES: tuple[str, ...] = get_args(FeatureSettings.model_fields["missing"].annotation)
COLOURS = dict(zip(POLICIES, ("#4477aa", "#66ccee", "#228833", "#ccbb44", "#cc6677"), strict=True))
BASE = "mean"  # what the others are compared with


def take_away(graph: MultimodalGraph, modality: str, share: float, seed: int) -> MultimodalGraph:
    """The graph without the vectors of a share of the entities that have them."""
    features = graph.features[modality]
    there = np.flatnonzero(features.present)
    generator = np.random.default_rng([seed, round(1000 * share)])
    gone = generator.choice(there, size=round(share * len(there)), replace=False)
    matrix, present = features.matrix.copy(), features.present.copy()
    matrix[gone], present[gone] = 0.0, False
    less = replace(features, matrix=matrix, present=present)
    return replace(graph, features={**graph.features, modality: less})


def train_run(graph: MultimodalGraph, settings: list[str]) -> dict[str, Any]:
    """Train in a folder that is thrown away; the test MRR, in percent, in several cuts."""
    import momok

    with tempfile.TemporaryDirectory() as folder:
        run = momok.train(
            graph, resolve_config(overrides=settings), run=Path(folder) / "run", progress=False
        )
        test = json.loads((run.path / "results" / "test.json").read_text(encoding="utf-8"))
        best = max(run.records("valid"), key=lambda record: record["metrics"]["answer"]["mrr"])
    overall = test["by_tie_rule"]["realistic"]
    return {
        "mrr": {head: 100 * metrics["mrr"] for head, metrics in overall.items()},
        "by_presence": {
            modality: {
                group: None if heads["answer"]["mrr"] is None else 100 * heads["answer"]["mrr"]
                for group, heads in groups.items()
            }
            for modality, groups in test["by_presence"].items()
        },
        "epoch": best["epoch"],
    }


def summarise(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Per share and policy: mean and deviation over seeds, and the paired difference to BASE."""
    rows = []
    for share in sorted({run["share"] for run in runs}):
        base = {r["seed"]: _answer(r) for r in runs if (r["share"], r["policy"]) == (share, BASE)}
        for policy in POLICIES:
            mine = [r for r in runs if (r["share"], r["policy"]) == (share, policy)]
            if not mine:
                continue
            values = [_answer(run) for run in mine]
            row = {"share": share, "policy": policy, "seeds": len(values)}
            row["mrr"] = statistics.mean(values)
            row["deviation"] = statistics.stdev(values) if len(values) > 1 else None
            pairs = [_answer(run) - base[run["seed"]] for run in mine if run["seed"] in base]
            if policy != BASE and len(pairs) in STUDENT:
                half = STUDENT[len(pairs)] * statistics.stdev(pairs) / math.sqrt(len(pairs))
                row["difference"] = statistics.mean(pairs)
                row["interval"] = [row["difference"] - half, row["difference"] + half]
            rows.append(row)
    return rows


def _answer(run: dict[str, Any]) -> float:
    return float(run["mrr"]["answer"])


def draw(rows: list[dict[str, Any]], path: Path, graph: str, modality: str) -> None:
    """Test MRR by share taken away, a line per policy with its deviation over seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for policy in POLICIES:
        mine = [row for row in rows if row["policy"] == policy]
        if mine:
            axes.errorbar(
                [100 * row["share"] for row in mine],
                [row["mrr"] for row in mine],
                yerr=[row["deviation"] or 0.0 for row in mine],
                color=COLOURS[policy],
                label=policy,
                marker="o",
                ms=4,
                lw=1.4,
                capsize=2,
            )
    axes.set(
        xlabel=f"{modality} vectors taken away, %", ylabel="test MRR, %", title=f"Graph: {graph}"
    )
    axes.grid(alpha=0.3)
    axes.legend(
        title="features.missing", frameon=False, bbox_to_anchor=(1.0, 1.0), loc="upper left"
    )
    figure.savefig(path, dpi=130)


@click.command()
@click.argument("graph", default="world")
@click.option("--modality", default="text", show_default=True)
@click.option("--shares", default="0.2,0.5,0.8", show_default=True)
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--policies", default=",".join(POLICIES), show_default=True)
@click.option("--set", "settings", multiple=True, help="A setting, as training.epochs=40.")
@click.option("--demo/--no-demo", default=True, help="Begin with WORLD_SETTINGS.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="JSON lines.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw into this file.")
def main(
    graph: str,
    *,
    modality: str,
    shares: str,
    seeds: str,
    policies: str,
    settings: tuple[str, ...],
    demo: bool,
    out: Path,
    plot: Path | None,
) -> None:
    """Train what is not in the file yet, seed by seed; then print the table."""

    loaded = load_graph(graph)
    given = [f"{name}={value}" for name, value in (WORLD_SETTINGS if demo else {}).items()]
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    runs = [json.loads(line) for line in lines]
    done = {(run["share"], run["policy"], run["seed"]) for run in runs}
    for seed in map(int, seeds.split(",")):
        for share in map(float, shares.split(",")):
            less = take_away(loaded, modality, share, seed)
            for policy in policies.split(","):
                if (share, policy, seed) in done:
                    continue
                own = [*given, *settings, f"features.missing={policy}", f"seed={seed}"]
                run = {"share": share, "policy": policy, "seed": seed} | train_run(less, own)
                runs.append(run)
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(run) + "\n")
                click.echo(f"{share:.0%} gone, {policy}, seed {seed}: {_answer(run):.2f}", err=True)
    rows = summarise(runs)
    if plot is not None:
        draw(rows, plot, loaded.name, modality)
    for row in rows:
        text = f"{row['share']:4.0%}  {row['policy']:8} {row['mrr']:6.2f}"
        text += f" ± {row['deviation'] or 0:.2f}"
        if "difference" in row:
            low, high = row["interval"]
            text += f"   to {BASE} {row['difference']:+.2f} [{low:+.2f}, {high:+.2f}]"
        click.echo(text)


if __name__ == "__main__":
    main()
