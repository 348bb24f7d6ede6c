"""``momok study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from momok.cli.completion import complete_graph, complete_setting
from momok.console import console, print_line

if TYPE_CHECKING:
    from momok.progress import ProgressBar
    from momok.studies import Plan, Study


@click.command("study")
@click.argument("graph", shell_complete=complete_graph)
@click.argument("plan")
@click.option("--out", metavar="FOLDER", help="The folder of the study [studies/GRAPH-PLAN].")
@click.option("--seeds", metavar="LIST", help="Seeds instead of the plan's, as 0,1,2.")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME",
    help="Only this variant; may be repeated.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    shell_complete=complete_setting,
    metavar="KEY=VALUE",
    help="A setting of all variants that do not set it, as training.epochs=20.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Runs side by side; they share the cores [one a core].",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Train on a Ray cluster that shares the folders: auto, ray://HOST:PORT, or local.",
)
@click.option(
    "--trials", type=click.IntRange(min=1), metavar="N", help="How many a search tries [40]."
)
@click.option("--no-test", is_flag=True, help="Do not look at the test facts.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="List the runs and estimate their time; train nothing that stays.",
)
def study_command(
    *,
    graph: str,
    plan: str,
    out: str | None,
    seeds: str | None,
    variants: tuple[str, ...],
    overrides: tuple[str, ...],
    jobs: int | None,
    ray: str | None,
    trials: int | None,
    no_test: bool,
    dry_run: bool,
) -> None:
    """Train what a plan lists, several runs at a time, and write tables, figures and a page.

    PLAN is a TOML file or one of: scenarios (noise, missing features, missing facts), ablation,
    baselines, seeds, search (which settings do best on validation). Every run is an ordinary run
    folder; what is there is not trained again, so a study that was stopped goes on, and more seeds
    or variants cost only themselves. The test facts are ranked when all runs are trained.

    \b
    What each part of the default brings, on the bundled graph:
      momok study world ablation --out studies/ablation
    How long would it take?
      momok study MKG-W baselines --dry-run
    Two more seeds of a study:
      momok study MKG-W baselines --out studies/MKG-W-baselines --seeds 0,1,2,3,4
    Settings for a graph of your own:
      momok study my-graph search --trials 40
    """
    from momok.config import parse_overrides
    from momok.graph import load_graph
    from momok.progress import ProgressBar
    from momok.reporting.study import write_study
    from momok.studies import load_plan, study
    from momok.studies.estimate import estimate_hours

    loaded = load_graph(graph)
    chosen = load_plan(plan).adapt(loaded)
    if trials and not chosen.search:
        raise click.UsageError(f"--trials is for a search, and plan {chosen.name} is none")
    chosen = chosen.select(
        variants=variants, seeds=_parse_seeds(seeds), settings=parse_overrides(overrides),
        trials=trials,
    )  # fmt: skip
    folder = Path(out or Path("studies") / f"{Path(graph).name}-{chosen.name}")
    with ProgressBar() as bar:
        if dry_run:
            _show_runs(chosen, estimate_hours(loaded, chosen, jobs or 0, bar.progress))
            return
        del loaded
        if chosen.search:
            _search(graph, chosen, folder, bar, jobs=jobs or 0, ray=ray or "")
            return
        done = study(
            graph, chosen, out=folder, jobs=jobs or 0, ray=ray or "", test=not no_test, progress=bar
        )
        page = write_study(done, progress=bar.progress)
    _show_summary(done, page)


def _search(graph: str, plan: Plan, folder: Path, bar: ProgressBar, *, jobs: int, ray: str) -> None:
    from momok.cli.train import quote_path
    from momok.reporting.study.search import write_search
    from momok.studies import search

    found = search(graph, plan, out=folder, jobs=jobs, ray=ray, progress=bar)
    page = write_search(found)
    for name, value in found.best.items():
        print_line(f"{name} = {value}")
    print_line(f"Train with them: momok train {graph} --config {quote_path(folder / 'best.toml')}")
    print_line(f"Page, table and figures: {quote_path(page)}")


def _parse_seeds(text: str | None) -> tuple[int, ...]:
    if text is None:
        return ()
    try:
        return tuple(int(seed) for seed in text.split(","))
    except ValueError:
        raise click.UsageError(f"--seeds {text!r}: expected whole numbers, as 0,1,2") from None


def _show_runs(plan: Plan, hours: float) -> None:
    from momok.studies.cells import list_cells

    cells = [cell.name for cell in list_cells(plan)]
    if plan.search:
        cells = [f"trial-{number:04}" for number in range(plan.search.trials)]
    for cell in cells:
        print_line(cell)
    minutes = max(round(60 * hours), 1)
    time = f"{hours:.1f} hours" if hours >= 1 else f"{minutes} minute{'s' if minutes > 1 else ''}"
    print_line(f"{len(cells)} runs, about {time} on this machine")


def _show_summary(study: Study, page: Path) -> None:
    from rich.table import Table

    from momok.cli.train import quote_path
    from momok.errors import RunError
    from momok.reporting.study.tables import list_cells_of
    from momok.studies.summary import summarise

    names = ["variant", "scenario", "level", "seeds", "valid_mrr", "mrr", "hits@1", "hits@10"]
    names.append("minutes")
    header, *rows = list_cells_of(summarise(study.to_frame()), names)
    table = Table(*header, box=None, header_style="bold")
    for row in rows:
        table.add_row(*row)
    console().print(table)
    print_line(f"Page, tables and figures: {quote_path(page)}")
    if study.failures:
        name, why = next(iter(study.failures.items()))
        count = len(study.failures)
        others = f", and {count - 1} other{'s' if count > 2 else ''}" if count > 1 else ""
        raise RunError(f"{name} failed{others}: {why}; the same command tries again")
