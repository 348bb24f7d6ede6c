"""What a study found: tables, figures and one page, in its folder ``results``."""

from __future__ import annotations

from pathlib import Path

from momok.progress import Progress, no_progress
from momok.reporting.plots import save_plot
from momok.reporting.report import formatting as fmt
from momok.reporting.report.formatting import Cell
from momok.reporting.report.page import embed_figure, render_page
from momok.reporting.study.figures import draw_study
from momok.reporting.study.page import build_content
from momok.reporting.study.tables import save_table
from momok.reporting.style import plot_style
from momok.storage import write_file
from momok.studies import Study
from momok.studies.results import compare, group
from momok.studies.summary import summarise

__all__ = ["write_study"]


def write_study(study: Study, *, progress: Progress = no_progress) -> Path:
    """Write ``results/`` of a study and give its page, ``results/report.html``.

    Beside the page: ``runs``, ``summary``, ``differences`` and ``groups``, each as CSV, Parquet,
    Markdown and LaTeX, and every figure as PNG and SVG.
    """
    folder = study.path / "results"
    frame = study.to_frame()
    progress("comparing over seeds and test facts", 0, 3)
    tables = {
        "runs": frame,
        "summary": summarise(frame),
        "differences": compare(study, frame),
        "groups": group(study, frame),
    }
    for name, table in tables.items():
        if table.width:
            save_table(folder / name, table)
    progress("drawing the figures", 1, 3)
    charts = {}
    with plot_style():
        for name, title, figure in draw_study(study, tables):
            charts[name] = embed_figure(figure, name)
            figure.set_layout_engine("constrained")  # the title takes room
            save_plot(figure, folder / name, title)
    progress("writing the page", 2, 3)
    subtitle: list[Cell] = [fmt.name(study.graph)]
    subtitle.append(fmt.write("{} runs", fmt.count(len(frame["run"].unique()))))
    subtitle.append(fmt.write("seeds {}", fmt.list_in_words(study.plan.seeds)))
    page = render_page(
        "study.html",
        f"Study {study.plan.name}",
        subtitle,
        build_content(study, tables) | {"charts": charts},
        source="the study's runs; every number in a table carries its full value, and "
        "<code>runs.csv</code> beside this page has them all",
    )
    write_file(folder / "report.html", page)
    progress("writing the page", 3, 3)
    return folder / "report.html"
