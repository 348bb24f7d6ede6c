"""``momok predict-missing``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from momok.cli.among import among_options, read_among
from momok.cli.predict import plausible_option
from momok.cli.remarks import say_if_not_calibrated
from momok.console import error_console, make_printable

if TYPE_CHECKING:
    from momok.prediction.missing.files import RdfForm


@click.command("predict-missing")
@click.argument("run")
@click.option(
    "--out",
    required=True,
    metavar="FILE",
    help="The file to write: .parquet, .csv, .jsonl or .nt (N-Triples).",
)
@click.option(
    "--relation",
    "relations",
    metavar="RELATION",
    multiple=True,
    help="Only facts of this relation; may be repeated [all].",
)
@plausible_option
@among_options(among_heads="--heads", among_tails="--tails")
@click.option(
    "--per-relation",
    type=click.IntRange(1),
    help="How many facts of a relation at most [that of --top, or 1000].",
)
@click.option(
    "--top", type=click.IntRange(1), help="How many facts at most over all relations [no limit]."
)
@click.option(
    "--min-probability",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="The least calibrated probability, 0 to 1 [any].",
)
@click.option(
    "--memory-mb", type=click.IntRange(1), default=256, help="Megabytes of score buffers [256]."
)
@click.option(
    "--rdf",
    type=click.Choice(["star", "rdf12", "reification"]),
    default="star",
    help="In N-Triples: a fact as a quoted triple, an RDF 1.2 triple term, or a statement [star].",
)
@click.option(
    "--base-iri",
    default="urn:momok:",
    metavar="IRI",
    help="In N-Triples: what labels that are no IRIs are put under [urn:momok:].",
)
def command(
    *,
    run: str,
    out: str,
    relations: tuple[str, ...],
    plausible: bool,
    per_relation: int | None,
    top: int | None,
    min_probability: float | None,
    memory_mb: int,
    rdf: RdfForm,
    base_iri: str,
    **limits: str | None,
) -> None:
    """Predict the missing facts of the whole graph with the model of the run folder RUN.

    All pairs of entities are ranked under every relation, and the best facts that the graph does
    not have are written into a file, the highest score first.

    \b
    The 1,000 best new facts of every relation:
      momok predict-missing RUN --out new.csv
    What is missing in the whole graph, at least as likely as one in ten?
      momok predict-missing RUN --min-probability 0.1 --out new.parquet
    The 500 best new facts of two relations, between entities of the right kind:
      momok predict-missing RUN --relation borders --relation currency \\
        --plausible --top 500 --out new.csv
    Which countries may be members of which organisations?
      momok predict-missing RUN --relation "member of" --heads country \\
        --tails organisation --out new.csv

    A fact's score is the lower of the model's answers to its two questions. docs/prediction.md says
    what its probability means. It takes minutes on a large graph; killed, it continues where it was
    when the same command is given again.
    """
    from momok.graph.candidates import resolve_candidates
    from momok.prediction.missing.facts import DEFAULT_PER_RELATION, BulkOptions
    from momok.prediction.missing.files import FileOptions
    from momok.prediction.missing.resume import write_new_facts
    from momok.prediction.scorer import Scorer
    from momok.progress import ProgressBar

    scorer = Scorer(run, memory_budget=memory_mb << 20)
    if min_probability is None:  # else it is an error
        say_if_not_calibrated(run, scorer.calibration)
    candidates = resolve_candidates(scorer.graph, read_among(scorer.graph, **limits))
    chosen = {side: tuple(ids.tolist()) for side, ids in candidates.items()}
    # A cap over all relations is also one of each: more of one could not be written.
    options = BulkOptions(
        per_relation=per_relation or top or DEFAULT_PER_RELATION,
        min_probability=min_probability,
        plausible=plausible,
        heads=chosen.get("head"),
        tails=chosen.get("tail"),
    )
    with ProgressBar() as bar:
        summary = write_new_facts(
            scorer,
            out,
            relations or None,
            options=options,
            top=top,
            file_options=FileOptions(rdf=rdf, base_iri=base_iri),
            progress=bar.progress,
        )
    count = "1 relation" if summary.relations == 1 else f"{summary.relations} relations"
    before = f" ({summary.resumed} finished before)" if summary.resumed else ""
    error_console().print(
        f"{summary.facts:,} new facts of {count}{before}, out of {summary.pairs:,} pairs of "
        f"entities, written to {make_printable(out)}",
        soft_wrap=True,
    )
