"""``momok export``: vectors of a trained model for other programs."""

from __future__ import annotations

import click

from momok.console import print_line


@click.command("export")
@click.argument("run")
@click.argument("file")
@click.option(
    "--head",
    default="joined",
    metavar="HEAD",
    help="Of this decision head; joined: all side by side, each of length one; answer: as answers, "
    "for searches with the vectors of questions [joined].",
)
@click.option("--relations", is_flag=True, help="Vectors of relations and their reverses instead.")
def command(run: str, file: str, head: str, *, relations: bool) -> None:
    """Write what the run RUN has learned of every entity into FILE, as vectors.

    The ending of FILE says the form: .parquet (columns label, name, vector), .npz (arrays labels,
    names, vectors), .safetensors (vectors; the labels are in its metadata) or .txt (word2vec).

    \b
    For a search of similar entities:
      momok export RUN vectors.parquet
    What the text head alone has learned:
      momok export RUN text.npz --head text
    To find answers elsewhere, by the vectors of questions that docs/prediction.md makes:
      momok export RUN answers.parquet --head answer
    """
    from momok.evaluation import ANSWER
    from momok.prediction.scorer import Scorer
    from momok.prediction.vectors import find_candidate_vectors, find_vectors

    if head == ANSWER and relations:
        raise click.UsageError("--head answer has vectors of entities alone; leave out --relations")
    scorer = Scorer(run, calibrated=False)
    if head == ANSWER:
        found = find_candidate_vectors(scorer)
    else:
        found = find_vectors(scorer, head, relations=relations)
    found.save(file)
    print_line(
        f"{len(found.labels):,} vectors of {found.matrix.shape[1]} numbers written to {file}"
    )
