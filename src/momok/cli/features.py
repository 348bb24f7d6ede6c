"""``momok encode`` and ``momok features``: features are made, listed and imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from momok.cli.completion import complete_graph
from momok.console import console, print_line

if TYPE_CHECKING:
    from momok.encoders import Encoding
    from momok.graph.feature_import import FeatureImport

_SHOWN = 3  # of each kind of problem
_NOTHING = {"text": "text", "image": "picture", "numeric": "number"}
_SAID = {
    "empty": "entities have no {what}",
    "identifier": "entities have only an identifier for a name",
    "missing": "pictures are named and not there",
    "unreadable": "pictures cannot be read",
}

half_option = click.option(
    "--float16", "half", is_flag=True, help="Write 16-bit numbers: half the size."
)
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write to a copy of the graph in this folder; GRAPH stays as it is.",
)
replace_option = click.option("--replace", is_flag=True, help="Replace a modality of this name.")


@click.command("encode")
@click.argument("graph", shell_complete=complete_graph)
@click.argument("kind", type=click.Choice(["text", "image", "numeric"]), metavar="KIND")
@click.option(
    "--encoder",
    metavar="SPEC",
    help="NAME, NAME:MODEL or NAME:MODEL?option=value [text: use, image: descriptor, numeric: "
    "quantile].",
)
@click.option("--name", "modality", metavar="MODALITY", help="The name of the modality [KIND].")
@click.option(
    "--fields",
    default="name,description",
    help="For texts, the columns of entities.tsv that make one up [name,description].",
)
@click.option("--batch", type=click.IntRange(1), default=64, help="Items encoded at once [64].")
@click.option("--limit", type=click.IntRange(1), help="Encode the first entities only, to try.")
@half_option
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="Where to compute; auto takes a GPU if there is one [auto].",
)
@out_option
@replace_option
@click.option("--restart", is_flag=True, help="Drop what an interrupted attempt has finished.")
@click.option(
    "--allow-download",
    is_flag=True,
    help="Fetch a model from the Hugging Face hub; without it nothing is downloaded.",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    default="",
    help="Encode on a Ray cluster that shares the folder, a worker a GPU or core: auto, "
    "ray://HOST:PORT, or local.",
)
def encode_command(
    *,
    graph: str,
    kind: Literal["text", "image", "numeric"],
    fields: str,
    out: Path | None,
    **options: Any,
) -> None:
    """Turn the texts, pictures or numbers of a graph into features.

    GRAPH is a folder or a name of `momok data list`, KIND is text, image or numeric. Texts are
    names and descriptions; pictures are the files named in entities.tsv, several per entity are
    averaged; numbers stand in numbers.tsv. Entities that have none are marked absent, and what
    cannot be read is counted and listed. An interrupted or killed encoding continues with the
    same command.

    Encoders: use, sentence-transformers:MODEL, transformers:MODEL (text); descriptor,
    efficientnet-lite0, transformers:MODEL (image); quantile, log (numeric); and those that other
    packages bring. MODEL is a folder, or the name of a model on the Hugging Face hub.
    docs/encoding.md says which is good for what.

    \b
    momok encode my-graph text
    momok encode my-graph image --encoder efficientnet-lite0
    momok encode my-graph image --name clip --encoder transformers:models/clip
    momok encode world text --out my-world
    momok encode my-graph image --ray auto
    """
    from momok.encoders import encode_modality
    from momok.graph.catalog import find_writable_folder
    from momok.graph.momok_format import find_changed_files
    from momok.progress import ProgressBar

    folder = find_writable_folder(graph, out)
    changed = find_changed_files(folder)
    with ProgressBar() as bar:
        bar.progress("loading the encoder", 0, 0)
        encoding = encode_modality(
            folder,
            kind,
            fields=[field.strip() for field in fields.split(",") if field.strip()],
            progress=bar.progress,
            **options,
        )
    _show_encoding(encoding, folder, _NOTHING[kind])
    _say_what_changed(folder, changed)


def _say_what_changed(folder: Path, changed: list[str]) -> None:
    """Name the files of a graph that are not as momok wrote them."""
    for name in changed:
        print_line(f"{folder / name} is not as momok wrote it: it was changed, or is damaged")


def _show_encoding(encoding: Encoding, folder: Path, what: str) -> None:
    """Say what was encoded, what was not, and where it is."""
    manifest = encoding.features.manifest
    place = folder / "features" / manifest.modality
    if encoding.resumed:
        print_line(f"Continued after {encoding.resumed:,} entities that were finished before.")
    said = f"{manifest.counts['encoded']:,} of {manifest.counts['entities']:,} entities"
    if "pictures" in manifest.counts:
        said += f" ({manifest.counts['pictures']:,} pictures)"
    made_by = f"{manifest.encoder} {manifest.encoder_version}"
    print_line(f"{said} encoded to {manifest.width:,} numbers by {made_by}")
    for kind, words in _SAID.items():
        examples = [problem for problem in encoding.problems if problem.kind == kind]
        if examples:
            shown = ", ".join(problem.about or problem.label for problem in examples[:_SHOWN])
            more = ", ..." if len(examples) > _SHOWN else ""
            print_line(f"{len(examples):,} {words.format(what=what)}: {shown}{more}")
    listed = f"; what could not be encoded: {place}.problems.tsv" if encoding.problems else ""
    print_line(f"Written: {place}.safetensors{listed}")


@click.group("features")
def features_command() -> None:
    """List the features of a graph, or bring in vectors that exist already."""


@features_command.command("list")
@click.argument("graph", shell_complete=complete_graph)
def list_features(graph: str) -> None:
    """List the modalities of a graph: how many entities, how wide, made by what.

    \b
    momok features list my-graph
    """
    from momok.cli.views import build_table
    from momok.errors import FeatureError
    from momok.graph import Vocabulary, load_features
    from momok.graph.catalog import find_graph_folder, read_labels_of
    from momok.graph.features import list_modalities
    from momok.graph.momok_format import find_changed_files

    folder = find_graph_folder(graph)
    changed = find_changed_files(folder)
    entities = Vocabulary(read_labels_of(folder))
    rows, broken = [], []
    for modality in list_modalities(folder / "features"):
        try:
            features = load_features(folder / "features", modality, entities)
        except FeatureError as error:
            broken.append(str(error))
            continue
        manifest, present = features.manifest, int(features.present.sum())
        made_by = f"{manifest.encoder} {manifest.encoder_version}".strip()
        covered = f"{present:,} ({present / len(entities):.0%})"
        rows.append((modality, made_by, manifest.created, covered, f"{manifest.width:,}"))
    if rows:
        columns = ("modality", "made by", "on", "entities", "width")
        console().print(build_table(*columns, rows=rows, text=3))
    elif not broken:
        print_line(f"No features yet; make some: momok encode {graph} text")
    for line in broken:
        print_line(f"unusable: {line}")
    _say_what_changed(folder, changed)


@features_command.command("import")
@click.argument("graph", shell_complete=complete_graph)
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
@half_option
@out_option
@replace_option
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
    from momok.graph.momok_format import find_changed_files
    from momok.progress import ProgressBar

    folder = find_writable_folder(graph, out)
    changed = find_changed_files(folder)
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
    _show_import(imported, len(entities), place)
    _say_what_changed(folder, changed)


def _show_import(imported: FeatureImport, entities: int, place: Path) -> None:
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
