"""``momok map``: a map of the entities for ``momok serve``."""

from __future__ import annotations

from typing import Literal

import click

from momok.console import print_line


@click.command("map")
@click.argument("run")
@click.option(
    "--method",
    type=click.Choice(["tsne", "pca"]),
    default="tsne",
    help="tsne: similar entities lie together; pca: the first two principal components [tsne].",
)
@click.option(
    "--entities",
    default=20_000,
    metavar="COUNT",
    help="Of more entities, those with most facts [20000].",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    metavar="N",
    help="Random seed of t-SNE [0].",
)
def command(run: str, method: Literal["tsne", "pca"], entities: int, seed: int) -> None:
    """Lay the entities of the run RUN out on a map, which `momok serve RUN` then shows.

    The vectors that all heads have learned, in two dimensions, by scikit-learn (extra map). The map
    is kept in RUN/results/map.json with a fingerprint of the checkpoint: that of another one is not
    shown. 15,000 entities take some minutes.

    \b
    A map, then the page with it:
      momok map RUN
      momok serve RUN
    """
    from momok.prediction.entity_map import compute_map, save_map
    from momok.prediction.scorer import Scorer

    scorer = Scorer(run, calibrated=False)
    made = compute_map(scorer, method=method, most=entities, seed=seed)
    print_line(f"{len(made.entities):,} entities on the map {save_map(scorer, made)}")
    print_line(f"See it with: momok serve {run}, page Map")
