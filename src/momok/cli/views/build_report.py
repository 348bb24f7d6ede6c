"""What was made of a source, on a terminal: what was taken for what, and what comes next."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from momok.cli.views import build_fields, format_percent
from momok.console import console, print_line
from momok.graph import Finding
from momok.graph.build import BuildReport

_EXAMPLES = 3  # of a finding
_PAIRS = 10  # of redundant relations


def show_build_report(report: BuildReport) -> None:
    """Print what was made, in lines and a table."""
    graph, total = report.graph, sum(report.split_sizes.values())
    lines = [*graph.notes, *describe_findings(report.findings), *_describe_redundant(report)]
    for line in (*lines, *(f"split: {note}" for note in report.split_notes)):
        print_line(line)
    fields = [("entities", f"{len(graph.entities):,}"), ("relations", f"{len(graph.relations):,}")]
    for split, size in report.split_sizes.items():
        fields.append((f"{split} facts", f"{size:,} ({format_percent(size / total, 1)})"))
    for what, count in report.covered.items():
        if count:
            share = f"{count / len(graph.entities):.0%} of the entities"
            fields.append((what, f"{count:,} ({share})"))
    console().print(build_fields(fields, title=graph.name))
    for line in _describe_next(report):
        print_line(line)


def describe_findings(findings: Iterable[Finding]) -> Iterator[str]:
    """What was found in the files of a graph, each with a few examples."""
    for finding in findings:
        yield f"{finding.kind}: {finding.message}"
        shown = finding.examples[:_EXAMPLES]
        yield from (f"    {example}" for example in shown)
        if shown and finding.count > len(shown):
            yield f"    and {finding.count - len(shown):,} more"


def _describe_redundant(report: BuildReport) -> Iterator[str]:
    """Name the pairs of relations of which one gives away the facts of the other."""
    words = {"inverse": "is the inverse of", "duplicate": "says the same as"}
    pairs = [pair for pair in report.redundant if pair.kind != "symmetric"]
    symmetric = [report.graph.relations[p.first] for p in report.redundant if p.kind == "symmetric"]
    for pair in pairs[:_PAIRS]:
        first, second = report.graph.relations[pair.first], report.graph.relations[pair.second]
        yield (
            f"leak: {second} {words[pair.kind]} {first} ({pair.second_share:.0%} of its facts, "
            f"{pair.first_share:.0%} of those of {first})"
        )
    if len(pairs) > _PAIRS:
        yield f"leak: and {len(pairs) - _PAIRS:,} more such pairs of relations"
    if pairs:
        yield (
            "    --drop-inverse-leaks leaves the one out that the source names later; "
            "--keep RELATION chooses"
        )
    if symmetric:
        more = f" and {len(symmetric) - _PAIRS:,} more" if len(symmetric) > _PAIRS else ""
        yield f"symmetric relations: {', '.join(symmetric[:_PAIRS])}{more}"


def _describe_next(report: BuildReport) -> Iterator[str]:
    """Where the graph is, and which commands come next."""
    folder = shlex.quote(str(report.folder))
    if report.pictures:
        done = f"{report.pictures - report.linked:,} pictures copied"
        yield done + (f", {report.linked:,} linked" if report.linked else "")
    yield f"The graph is in {report.folder}. Next:"
    yield f"    momok data check {folder}"
    kinds = {"text": 1, "image": report.covered["pictures"], "numeric": report.covered["numbers"]}
    yield from (f"    momok encode {folder} {kind}" for kind, count in kinds.items() if count)
    yield f"    momok train {folder} --run {shlex.quote('runs/' + report.folder.resolve().name)}"
