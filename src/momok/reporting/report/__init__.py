"""The report of a run, or of several side by side: one HTML file that needs nothing else.

``contents`` reads a run folder; ``run_page`` finds what ``templates/run.html`` shows of one run,
``comparison_page`` what ``templates/comparison.html`` shows of several; ``page`` renders them. The
page fetches nothing and runs no script.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from momok.errors import RunError
from momok.progress import Progress, no_progress
from momok.reporting.report.comparison_page import render_comparison
from momok.reporting.report.contents import load_runs
from momok.reporting.report.run_page import render_run
from momok.storage import check_path, write_file

__all__ = ["write_report"]


def write_report(
    runs: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    pictures: bool = True,
    plots: bool = False,
    progress: Progress = no_progress,
) -> Path:
    """Write the report of a run, or the comparison of several, as one HTML file.

    Args:
        runs: a run folder, or several. The first one, or the runs that share its settings, is what
            others are compared with.
        out: the file to write; by default ``RUN/report.html``, for several runs
            ``momok-report.html``.
        pictures: whether pictures of entities are shown, where the graph's folder has them.
        plots: whether the figures of the page are saved too, as PNG and SVG: in ``RUN/plots``, or
            beside a file that is named, or of several runs, in ``NAME-plots``.

    Returns:
        the HTML file. It appears whole or not at all.

    Raises:
        RunError: a folder is no run, is damaged, or cannot be compared with the others.
    """
    given = runs if isinstance(runs, list | tuple) else [runs]
    paths = [check_path(run, "run") for run in given]
    if not paths:
        raise RunError("a report needs at least one run folder")
    if out is not None and Path(out).is_dir():
        raise RunError(f"{out}: is a folder; expected the HTML file to write, as {out}/report.html")
    if out is None and len(paths) == 1:
        target, folder = paths[0] / "report.html", paths[0] / "plots"
    else:
        target = Path(out or "momok-report.html")
        folder = target.with_name(f"{target.stem}-plots")
    contents = []
    for number, run in enumerate(load_runs(paths), start=1):
        contents.append(run)
        progress(f"read {run.name}", number, len(paths))
    saved = folder if plots else None
    if len(contents) == 1:
        page = render_run(contents[0], saved, pictures, progress)
    else:
        page = render_comparison(contents, saved, progress)
    write_file(target, page)
    return target
