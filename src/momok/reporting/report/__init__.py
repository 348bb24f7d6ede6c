"""The report of a run, or of several side by side: one HTML file that needs nothing else.

``contents`` reads a run folder; ``metric_tables``, ``cases``, ``settings`` and their neighbours
turn it into tables and charts; ``single`` and ``several`` put the pages together; ``rendering``
writes them with the templates in ``templates/``. The page fetches nothing and runs no script.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from momok.errors import MissingExtraError
from momok.progress import Progress, no_progress

__all__ = ["write_report"]

_NEEDED = {"jinja2": "Jinja2", "PIL": "Pillow"}


def write_report(
    runs: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    pictures: bool = True,
    progress: Progress = no_progress,
) -> Path:
    """Write the report of a run, or the comparison of several, as one HTML file and its plots.

    Args:
        runs: run folders. The first one, or the runs that share its settings, is what others are
            compared with.
        out: the file to write. By default ``RUN/report.html`` with its plots in ``RUN/plots``; for
            several runs ``momok-report.html``. The plots of a file that is named, or of several
            runs, go into a folder beside it: ``NAME-plots``.
        pictures: whether pictures of entities are shown, where the graph's folder has them.
        progress: is told what is being done.

    Returns:
        the HTML file. It appears whole or not at all.

    Raises:
        MissingExtraError: the extra ``report`` is not installed.
        RunError: a folder is no run, is damaged, or cannot be compared with the others.
        StorageError: the disk refused.
    """
    for module, package in _NEEDED.items():
        if find_spec(module) is None:
            raise MissingExtraError(package, "report", "a report")
    from momok.reporting.report.writing import write

    return write([Path(run) for run in runs], out, pictures, progress)
