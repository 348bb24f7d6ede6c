"""``momok predict --all-missing``: new facts of the whole graph, into a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from momok.prediction.missing.files import RdfForm
    from momok.prediction.missing.resume import BulkSummary

__all__ = ["predict_all_missing"]


def predict_all_missing(
    run: str,
    output: str,
    relations: tuple[str, ...],
    *,
    per_relation: int | None,
    top: int | None,
    min_probability: float | None,
    plausible: bool,
    memory_mb: int | None,
    rdf: RdfForm | None,
    base_iri: str | None,
) -> None:
    """Rank, write and say what was written."""
    from momok.console import error_console
    from momok.prediction.missing.facts import DEFAULT_PER_RELATION, BulkOptions
    from momok.prediction.missing.files import DEFAULT_BASE, FileOptions
    from momok.prediction.missing.resume import write_new_facts
    from momok.prediction.scorer import Scorer
    from momok.progress import ProgressBar

    # A cap over all relations is also one of each: more of one could not be written.
    options = BulkOptions(
        per_relation=per_relation or top or DEFAULT_PER_RELATION,
        min_probability=min_probability,
        plausible=plausible,
    )
    file_options = FileOptions(rdf=rdf or "star", base_iri=base_iri or DEFAULT_BASE)
    with ProgressBar() as bar:
        summary = write_new_facts(
            Scorer(run),
            output,
            relations or None,
            options=options,
            top=top,
            file_options=file_options,
            memory_budget=None if memory_mb is None else memory_mb << 20,
            progress=bar.progress,
        )
    error_console().print(_describe(summary, output), soft_wrap=True)


def _describe(summary: BulkSummary, output: str) -> str:
    from momok.console import make_printable

    relations = "1 relation" if summary.relations == 1 else f"{summary.relations} relations"
    before = f" ({summary.resumed} finished before)" if summary.resumed else ""
    return (
        f"{summary.facts:,} new facts of {relations}{before}, out of {summary.pairs:,} pairs of "
        f"entities, written to {make_printable(output)}"
    )
