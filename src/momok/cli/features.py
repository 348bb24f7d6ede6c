"""``momok features``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from momok.console import console, make_printable, print_line

if TYPE_CHECKING:
    from momok.graph.feature_import import FeatureImport

_SHOWN = 3  # keys that name no entity


@click.group("features", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """List the features of a graph, or bring in vectors that exist already."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@command.command("list")
@click.argument("graph")
def list_features(graph: str) -> None:
    """List the modalities of a graph: how many entities, how wide, made by what.

    \b
    momok features list my-graph
    """
    from momok.cli.views.parts import build_table
    from momok.errors import FeatureError
    from momok.graph import Vocabulary, load_features
    from momok.graph.catalog import find_graph_folder, read_labels_of
    from momok.graph.features import list_modalities

    folder = find_graph_folder(graph)
    entities = Vocabulary(read_labels_of(folder))
    table = build_table("modality", "made by", "on", "entities", "width", text=3)
    broken = []
    for modality in list_modalities(folder / "features"):
        try:
            features = load_features(folder / "features", modality, entities)
        except FeatureError as error:
            broken.append(str(error))
            continue
        manifest, present = features.manifest, int(features.present.sum())
        made_by = f"{manifest.encoder} {manifest.encoder_version}".strip()
        table.add_row(
            *map(make_printable, (modality, made_by, manifest.created)),
            f"{present:,} ({present / len(entities):.0%})",
            f"{manifest.width:,}",
        )
    if table.row_count:
        console().print(table)
    elif not broken:
        print_line(f"No features yet; make some: momok encode {graph} text")
    for line in broken:
        print_line(f"unusable: {line}")


@command.command("import")
@click.argument("graph")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--modality", help="What the vectors are of, as in image; of published files known.")
@click.option(
    "--order",
    type=click.Choice(["entity2id"]),
    help="Rows are in the order of the graph's entities; needed where nothing names them.",
)
@click.option(
    "--labels",
    type=click.Path(path_type=Path),
    help="A file with the label of each row, one a line, or the entity2id.txt of the vectors.",
)
@click.option(
    "--links",
    type=click.Path(path_type=Path),
    help="A file of key and label, for keys of another source (MMRNS: ent_links).",
)
@click.option("--zeros-absent", is_flag=True, help="Vectors of zeros stand for missing ones.")
@click.option("--made-by", default="", help="What made the vectors, for the manifest.")
@click.option("--float16", "half", is_flag=True, help="Write 16-bit numbers: half the size.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write to a copy of the graph in this folder; GRAPH stays as it is.",
)
@click.option("--replace", is_flag=True, help="Replace a modality of this name.")
def import_features(
    *, graph: str, file: Path, half: bool, out: Path | None, replace: bool, **options: Any
) -> None:
    """Bring vectors that exist already into a graph.

    FILE is .npy, .npz, .pt, .pth, .pkl, .safetensors, .h5, .csv, .tsv or .parquet. It holds vectors
    by label, or a matrix whose rows follow the entities of the graph. Pickles are read without
    running what is in them. The published files of MoMoK (img_features.pth, text_features.pth),
    NativE and AdaMF-MAT (MKG-W-visual.pth, ...) and MMRNS (MKG_W_description_sentences.h5, ...) are
    known by name; what is assumed of them is printed.

    \b
    momok features import data/DB15K img_features.pth
    momok features import my-graph vectors.npy --modality image --order entity2id
    momok features import my-graph vectors.csv --modality text
    """
    from momok.errors import FeatureError
    from momok.graph import Vocabulary, save_features
    from momok.graph.catalog import find_writable_folder, read_labels_of, read_name_of
    from momok.graph.feature_import import read_features
    from momok.progress import ProgressBar

    folder = find_writable_folder(graph, out)
    entities = Vocabulary(read_labels_of(folder))
    with ProgressBar() as bar:
        bar.progress(f"reading {file.name}", 0, 0)
        imported = read_features(
            file.expanduser(), entities, graph_name=read_name_of(folder), **options
        )
    place = folder / "features" / imported.features.manifest.modality
    if not replace and place.with_name(f"{place.name}.json").is_file():
        raise FeatureError(
            f"{place}.json: this modality is there already; replace it with --replace, or give the "
            f"new one another --modality"
        )
    save_features(folder / "features", imported.features, entities, half=half)
    _show(imported, len(entities), place)


def _show(imported: FeatureImport, entities: int, place: Path) -> None:
    """Print what was imported, what was assumed, and what fits nowhere."""
    features = imported.features
    present, width = int(features.present.sum()), features.manifest.width
    for said in imported.assumed:
        print_line(f"assumed: {said}")
    print_line(f"{present:,} of {entities:,} entities have a vector of {width:,} numbers")
    if imported.averaged:
        print_line(f"{imported.averaged:,} vectors are the mean of several")
    if imported.zero_rows:
        print_line(
            f"{imported.zero_rows:,} vectors are all zeros and count as vectors; give "
            f"--zeros-absent if they stand for missing ones"
        )
    if features.unmatched:
        shown = ", ".join(features.unmatched[:_SHOWN])
        print_line(f"{len(features.unmatched):,} keys name no entity: {shown}")
    print_line(f"Written: {place}.safetensors")
