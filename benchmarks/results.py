"""The tables of docs/results.md: presets and ablations over graphs and seeds.

    python -m benchmarks.results GRAPH... --variant default --seeds 3 --jobs 2 --out results.jsonl
    python -m benchmarks.results --out results.jsonl        # the table of what is there

Every run is trained by ``momok.train``, chosen on validation and tested once; of runs with a pool
the same heads are also tested weighing the same, and pooled without rules. Each is one line of the
JSON-lines file as soon as it is done, and what is in the file already is not done again.
"""

from __future__ import annotations

import json
import math
import shutil
import statistics
import tempfile
import time
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

from benchmarks.quality import STUDENT
from momok.presets import PRESETS
from momok.progress import no_progress

# name -> settings
VARIANTS: dict[str, dict[str, str]] = {
    **{name: {"preset": name} for name in PRESETS},
    "one-member": {"preset": "default", "model.members": "1"},
    "four-members": {"preset": "default", "model.members": "4"},
    "structure": {"preset": "default", "model.modalities": "structure"},
    "no-regulariser": {"preset": "default", "training.regulariser": "none"},
    "all-candidates": {"preset": "default", "training.candidates": "all"},
    "width-128": {"preset": "default", "model.structure_width": "128"},
    "joint": {"preset": "default", "model.members": "1", "model.heads": "all"},
    "one-expert": {"preset": "default", "model.members": "1", "model.experts": "1"},
    "three-experts": {"preset": "default", "model.members": "1", "model.experts": "3"},
    "published-split": {"preset": "default", "data.split": "published"},
}


def run_one(
    graph: str, variant: str, seed: int, settings: dict[str, str], runs: Path | None
) -> dict[str, Any]:
    """Train and test, in a folder that is thrown away where ``runs`` does not keep it."""
    import momok
    from momok.config import resolve_config
    from momok.evaluation import ANSWER

    temporary = Path(tempfile.mkdtemp())
    folder = (runs or temporary) / f"{Path(graph).name}-{variant}-{seed}"
    try:
        started = time.perf_counter()
        overrides = {**VARIANTS[variant], **settings, "seed": str(seed)}
        run = momok.train(graph, resolve_config(overrides=overrides), run=folder, progress=False)
        seconds = time.perf_counter() - started
        timings = list(run.records(file="timing.jsonl"))
        return {
            "graph": Path(graph).name,
            "variant": variant,
            "seed": seed,
            "settings": settings,
            "seconds": round(seconds, 1),
            "training": round(sum(r["seconds"] for r in timings if r["kind"] == "epoch"), 1),
            "valid": _metrics(run.load_evaluation("valid").overall),
            "test": _metrics((test := run.load_evaluation("test")).overall),
            "groups": {
                name: {key: [heads[ANSWER].count, heads[ANSWER].mrr] for key, heads in group}
                for name, group in (
                    ("side", test.by_side.items()),
                    ("cardinality", test.by_cardinality.items()),
                    ("seen", test.by_seen.items()),
                )
            },
            **_test_pools(run),
            "environment": run.environment,
        }
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _metrics(overall: Any) -> dict[str, dict[str, float]]:
    return {
        head: {"mrr": m.mrr, **{f"hits@{k}": share for k, share in m.hits.items()}}
        for head, m in overall.items()
    }


def _test_pools(run: Any) -> dict[str, Any]:
    """The test MRR with the same heads weighing the same, and pooled without rules."""
    from momok.evaluation import ANSWER, evaluate
    from momok.evaluation.pool_fit import fit_pool
    from momok.training.checkpoint import load_model

    if run.config.evaluation.pool == "equal":
        return {}
    graph = run.load_graph()
    model, _ = load_model(run.best_checkpoint, run.environment["device"])
    heads = fit_pool(model, graph, None, seed=run.config.seed, progress=no_progress)
    pools = {"equal": None, "heads": heads}
    tested = {
        name: evaluate(model, graph, "test", pool=pool).overall[ANSWER].mrr
        for name, pool in pools.items()
    }
    return {"pools": tested}


def summarise(records: Iterable[dict[str, Any]]) -> list[str]:
    """A Markdown table: mean ± standard deviation over seeds, in percent."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["graph"], record["variant"]), []).append(record)
    columns = ("mrr", "hits@1", "hits@3", "hits@10")
    lines = [
        "| graph | variant | seeds | valid MRR | MRR | Hits@1 | Hits@3 | Hits@10 "
        "| equal weights | without rules | best head | minutes |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (graph, variant), group in sorted(groups.items()):
        cells = [graph, variant, str(len(group))]
        cells.append(_spread([r["valid"]["answer"]["mrr"] for r in group]))
        cells += [_spread([r["test"]["answer"][c] for r in group]) for c in columns]
        for pool in ("equal", "heads"):
            cells.append(_spread([r["pools"][pool] for r in group if "pools" in r]))
        best = [max(m["mrr"] for h, m in r["test"].items() if h != "answer") for r in group]
        cells.append(_spread(best))
        cells.append(f"{statistics.mean(r['seconds'] for r in group) / 60:.1f}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def compare(records: Iterable[dict[str, Any]], baseline: str) -> list[str]:
    """A Markdown table: test MRR less that of a variant with the same seeds, and its 95% interval
    over seeds (Student's t)."""
    tested = {(r["graph"], r["variant"], r["seed"]): r["test"]["answer"]["mrr"] for r in records}
    lines = ["| graph | variant | seeds | less the MRR of " + baseline + " |", "|---|---|---|---|"]
    for graph, variant in sorted({key[:2] for key in tested if key[1] != baseline}):
        differences = [
            100 * (mrr - tested[graph, baseline, seed])
            for (g, v, seed), mrr in sorted(tested.items())
            if (g, v) == (graph, variant) and (graph, baseline, seed) in tested
        ]
        if not differences:
            continue
        shown = f"{statistics.mean(differences):+.2f}"
        if (count := len(differences)) > 1:
            reach = STUDENT[count] * statistics.stdev(differences) / math.sqrt(count)
            shown += f" (±{reach:.2f})"
        lines.append(f"| {graph} | {variant} | {count} | {shown} |")
    return lines


def _spread(values: Sequence[float]) -> str:
    if not values:
        return ""
    mean = f"{100 * statistics.mean(values):.2f}"
    return f"{mean} ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else mean


@click.command()
@click.argument("graphs", nargs=-1)
@click.option("--variant", "variants", multiple=True, type=click.Choice(list(VARIANTS)))
@click.option("--seeds", default=3, show_default=True)
@click.option("--jobs", default=1, show_default=True, help="Runs side by side.")
@click.option("--set", "pairs", multiple=True, help="KEY=VALUE, of all runs.")
@click.option("--out", type=click.Path(path_type=Path), required=True)
@click.option("--baseline", default="default", show_default=True, help="Compare variants with it.")
@click.option("--runs", type=click.Path(path_type=Path), help="Where to keep the run folders.")
def main(  # noqa: PLR0917
    graphs: tuple[str, ...],
    variants: tuple[str, ...],
    seeds: int,
    jobs: int,
    pairs: tuple[str, ...],
    out: Path,
    baseline: str,
    runs: Path | None,
) -> None:
    """Train VARIANTS on GRAPHS, and print the table of everything in the file."""
    records = [json.loads(line) for line in out.open()] if out.exists() else []
    done = {(r["graph"], r["variant"], r["seed"]) for r in records}
    settings = dict(pair.split("=", 1) for pair in pairs)
    tasks = [
        (graph, variant, seed, settings, runs)
        for seed in range(seeds)
        for variant in variants
        for graph in graphs
        if (Path(graph).name, variant, seed) not in done
    ]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(run_one, *task): task for task in tasks}
        for future in as_completed(futures):
            try:
                record = future.result()
            except Exception:
                click.echo(f"{futures[future][:3]} failed:\n{traceback.format_exc()}", err=True)
                continue
            records.append(record)
            with out.open("a") as file:
                file.write(json.dumps(record) + "\n")
            answer = record["test"]["answer"]["mrr"]
            click.echo(
                f"{record['graph']} {record['variant']} seed {record['seed']}: "
                f"test MRR {100 * answer:.2f}, {record['seconds']:.0f} s",
                err=True,
            )
    click.echo("\n".join([*summarise(records), "", *compare(records, baseline)]))


if __name__ == "__main__":
    main()
