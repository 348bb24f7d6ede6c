"""What a check of a graph found, on a terminal: its shape, then its problems, the worst first."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from momok.cli.views import build_fields, draw_bar
from momok.console import make_printable, shorten_middle
from momok.graph.doctor import Coverage, DataReport, Overview, Problem

_STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}
_BAR = 32  # columns of the longest bar of the histogram
_EXAMPLES = 3
_EXAMPLE_WIDTH = 160
_TYPES = 4


def show_data_report(out: Console, report: DataReport) -> None:
    """Print all of a report; labels are made printable."""
    out.print(Text(make_printable(report.name), style="bold"))
    out.print(build_fields(_list_fields(report.overview)))
    out.print()
    for problem in report.problems:
        out.print(_build_headline(problem))
        out.print(Padding(_build_details(problem), (0, 0, 1, 8)))
    counts = [
        f"{report.count(severity):,} {severity}{'' if report.count(severity) == 1 else 's'}"
        for severity in ("error", "warning", "note")
    ]
    if report.problems:
        said = f"{', '.join(counts)}, the worst first. What they mean: docs/data-check.md"
        out.print(said, soft_wrap=True)
    else:
        out.print(f"Nothing found by {', '.join(report.checks)}.")


def _list_fields(overview: Overview) -> Iterator[tuple[str, RenderableType]]:
    yield "size", f"{overview.entities:,} entities, {overview.relations:,} relations"
    yield "facts", ", ".join(f"{count:,} {split}" for split, count in overview.facts.items())
    degrees = overview.degrees
    yield (
        "degree",
        f"median {degrees.median:g}, mean {degrees.mean:.1f}, largest {degrees.largest:,} "
        f"({shorten_middle(degrees.hub, 80)})",
    )
    yield "", _draw_histogram(degrees.histogram)
    total = max(1, sum(c.facts for c in overview.cardinalities))
    yield (
        "relations",
        ", ".join(
            f"{c.kind}: {c.relations:,} ({c.facts / total:.0%} of train facts)"
            for c in overview.cardinalities
        ),
    )
    for coverage in overview.coverage:
        yield coverage.modality, _describe_coverage(coverage)


def _draw_histogram(histogram: tuple[tuple[int, int, int], ...]) -> Table:
    longest = max(count for _, _, count in histogram)
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    for low, high, count in histogram:
        name = f"{low:,}" if low == high else f"{low:,}-{high:,}"
        bar = draw_bar(count / max(longest, 1), columns=_BAR)
        bar.rstrip()
        table.add_row(name, bar.append(f" {count:,}", style="default"))
    return table


def _describe_coverage(coverage: Coverage) -> str:
    said = f"{coverage.entities:,} entities ({coverage.share:.0%})"
    if not coverage.by_type or coverage.share == 1:
        return said
    shown = [
        f"{shorten_middle(kind, 40)} {covered:,}/{size:,}"
        for kind, covered, size in coverage.by_type[:_TYPES]
    ]
    return f"{said}; by type: {', '.join(shown)}"


def _build_headline(problem: Problem) -> Text:
    style = _STYLES[problem.severity]
    return Text.assemble(
        (f"{problem.severity:<8}", style),
        (f"{problem.kind}: ", style),
        (make_printable(problem.message), "" if problem.severity == "note" else "bold"),
    )


def _build_details(problem: Problem) -> Table:
    table = build_fields([("effect", problem.effect)])
    for number, example in enumerate(problem.examples[:_EXAMPLES]):
        text = shorten_middle(make_printable(example), _EXAMPLE_WIDTH)
        table.add_row("" if number else "e.g.", text)
    table.add_row("fix", make_printable(problem.remedy))
    return table
