"""What a check of a graph found, on a terminal: its shape, then its problems, the worst first."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from momok.console import make_printable
from momok.graph.doctor import Coverage, DataReport, Overview, Problem

__all__ = ["show_data_report"]

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
_BAR = 32  # columns of the longest bar of the histogram
_EXAMPLES = 3
_EXAMPLE_WIDTH = 160
_TYPES = 4


def show_data_report(out: Console, report: DataReport) -> None:
    """Print all of a report; labels are made printable."""
    out.print(Text(make_printable(report.name), style="bold"))
    out.print(_build_overview(report.overview))
    out.print()
    for problem in report.problems:
        _show_problem(out, problem)
    counts = [
        f"{report.count(severity):,} {severity}{'' if report.count(severity) == 1 else 's'}"
        for severity in ("error", "warning", "note")
    ]
    if report.problems:
        out.print(
            f"{', '.join(counts)}, the worst first. What they mean: docs/data-check.md",
            soft_wrap=True,
        )
    else:
        out.print(f"Nothing found by {', '.join(report.checks)}.")


def _build_overview(overview: Overview) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    facts = ", ".join(f"{count:,} {split}" for split, count in overview.facts.items())
    table.add_row("size", f"{overview.entities:,} entities, {overview.relations:,} relations")
    table.add_row("facts", facts)
    degrees = overview.degrees
    hub = make_printable(degrees.hub)
    table.add_row(
        "degree",
        Text(
            f"median {degrees.median:g}, mean {degrees.mean:.1f}, largest {degrees.largest:,} "
            f"({hub[:80]})"
        ),
    )
    table.add_row("", Text("\n".join(_draw_histogram(degrees.histogram))))
    total = max(1, sum(c.facts for c in overview.cardinalities))
    kinds = ", ".join(
        f"{c.kind}: {c.relations:,} ({c.facts / total:.0%} of train facts)"
        for c in overview.cardinalities
    )
    table.add_row("relations", kinds)
    for coverage in overview.coverage:
        table.add_row(Text(make_printable(coverage.modality)), Text(_say_coverage(coverage)))
    return table


def _draw_histogram(histogram: tuple[tuple[int, int, int], ...]) -> Iterator[str]:
    longest = max(count for _, _, count in histogram)
    names = [f"{low:,}" if low == high else f"{low:,}-{high:,}" for low, high, _ in histogram]
    width = max(map(len, names))
    for name, (_, _, count) in zip(names, histogram, strict=True):
        eighths = round(8 * _BAR * count / longest)
        bar = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
        bar = bar or ("▏" if count else "")
        yield f"{name:>{width}}  {bar} {count:,}"


def _say_coverage(coverage: Coverage) -> str:
    said = f"{coverage.entities:,} entities ({coverage.share:.0%})"
    if not coverage.by_type or coverage.share == 1:
        return said
    shown = [
        f"{make_printable(kind)[:40]} {covered:,}/{size:,}"
        for kind, covered, size in coverage.by_type[:_TYPES]
    ]
    return f"{said}; by type: {', '.join(shown)}"


def _show_problem(out: Console, problem: Problem) -> None:
    style = _STYLES[problem.severity]
    head = Text.assemble(
        (f"{problem.severity:<8}", style),
        (f"{problem.kind}: ", style),
        (make_printable(problem.message), "" if problem.severity == "note" else "bold"),
    )
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    table.add_row("effect", Text(make_printable(problem.effect)))
    for number, example in enumerate(problem.examples[:_EXAMPLES]):
        text = make_printable(example)
        if len(text) > _EXAMPLE_WIDTH:
            text = f"{text[:_EXAMPLE_WIDTH]}…"
        table.add_row("" if number else "e.g.", Text(text))
    table.add_row("mend", Text(make_printable(problem.remedy)))
    out.print(head)
    out.print(Padding(table, (0, 0, 1, 8)))
