"""Reads the runs, builds the page, writes it and its plots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from momok.errors import RunError
from momok.progress import Progress
from momok.reporting.plots import draw_plots
from momok.reporting.report import single
from momok.reporting.report.blocks import Badge, Cell, Label, Section
from momok.reporting.report.contents import LONGEST_NAME, RunContents, load_contents
from momok.reporting.report.drawing import Drawer
from momok.reporting.report.numbers import Number, point_to, shorten
from momok.reporting.report.rendering import render_page
from momok.reporting.report.verdict import write_verdict
from momok.storage import write_file

__all__ = ["write"]

_DEFAULT_OF_SEVERAL = Path("momok-report.html")


def write(
    paths: Sequence[Path],
    out: str | Path | None,
    pictures: bool,
    progress: Progress,
) -> Path:
    """Write the report; see ``momok.reporting.report.write_report``."""
    if not paths:
        raise RunError("a report needs at least one run folder")
    if out is not None and Path(out).is_dir():
        raise RunError(f"{out}: is a folder; expected the HTML file to write, as {out}/report.html")
    target, plots = _choose_places(paths, out)
    runs = []
    for number, (path, name) in enumerate(zip(paths, _name_runs(paths), strict=True)):
        progress(f"reading {name}", number, len(paths) + 1)
        runs.append(load_contents(path, name))
    if len(runs) == 1:
        page = _render_single(runs[0], plots, pictures, progress)
    else:
        from momok.reporting.report.several import render_several

        page = render_several(runs, plots, progress)
    write_file(target, page)
    progress("done", 1, 1)
    return target


def _choose_places(paths: Sequence[Path], out: str | Path | None) -> tuple[Path, Path]:
    """The HTML file and the folder of its plots."""
    if out is None and len(paths) == 1:
        return paths[0] / "report.html", paths[0] / "plots"
    target = Path(out) if out is not None else _DEFAULT_OF_SEVERAL
    return target, target.with_name(f"{target.stem}-plots")


def _name_runs(paths: Sequence[Path]) -> list[str]:
    """The names of the folders, with as many of their parents' as tell them apart."""
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(resolved):
        twice = Counter(resolved).most_common(1)[0][0]
        raise RunError(f"{twice}: given twice; a run can be compared with others only")
    names = [shorten(_tell_apart(path, resolved), LONGEST_NAME) for path in resolved]
    counts = Counter(names)
    return [
        name if counts[name] == 1 else f"{shorten(name, LONGEST_NAME - 6)} ({place})"
        for place, name in enumerate(names, 1)
    ]


def _tell_apart(path: Path, others: Sequence[Path]) -> str:
    """The last parts of a path, as few as no other ends with."""
    for depth in range(1, len(path.parts)):
        last = path.parts[-depth:]
        if sum(other.parts[-depth:] == last for other in others) == 1:
            return "/".join(last)
    return str(path)


def _render_single(
    contents: RunContents,
    plots: Path,
    pictures: bool,
    progress: Progress,
) -> bytes:
    if contents.epochs:
        progress("drawing the plots", 1, 10)
        draw_plots(contents.run, plots)
    drawer = Drawer(plots, single.list_texts(contents))
    sections: list[Section] = []
    for section in single.build_sections(contents, drawer, pictures):
        sections.append(section)
        progress(section.title, min(1 + len(sections), 9), 10)
    return render_page(
        title=contents.name,
        subtitle=_describe(contents),
        verdict=write_verdict(contents),
        sections=sections,
    )


def _describe(contents: RunContents) -> list[Cell]:
    """What a run is, in a line of chips."""
    seed = contents.config.seed
    tone = {"finished": "good", "interrupted": "warn"}.get(contents.state, "warn")
    cells: list[Cell] = [
        Label(text=f"graph {contents.graph_name}"),
        f"{contents.data['split']} split",
        Badge(text=contents.state, tone=tone),
        f"preset {contents.config.preset}",
        Number(value=seed, text=f"seed {seed}", source=point_to("config.json", "seed")),
        str(contents.about.get("created", ""))[:10] or "no date",
    ]
    if contents.published:
        cells.insert(0, Badge(text="published protocol: selected on test", tone="bad"))
    return cells
