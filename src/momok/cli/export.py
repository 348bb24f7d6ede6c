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
    help="Of this decision head; joined: all side by side, each of length one [joined].",
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
    """
    from momok.prediction.scorer import Scorer
    from momok.prediction.vectors import find_vectors

    found = find_vectors(Scorer(run, calibrated=False), head, relations=relations)
    found.save(file)
    print_line(
        f"{len(found.labels):,} vectors of {found.matrix.shape[1]} numbers written to {file}"
    )
