"""``momok encode``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from momok.console import print_line

if TYPE_CHECKING:
    from momok.encoders import Encoding

_SHOWN = 3  # of each kind of problem
_NOTHING = {"text": "text", "image": "picture", "numeric": "number"}
_SAID = {
    "empty": "entities have no {what}",
    "identifier": "entities have only an identifier for a name",
    "missing": "pictures are named and not there",
    "unreadable": "pictures cannot be read",
}


@click.command("encode")
@click.argument("graph")
@click.argument("kind", type=click.Choice(["text", "image", "numeric"]), metavar="KIND")
@click.option(
    "--encoder",
    "spec",
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
@click.option("--float16", "half", is_flag=True, help="Write 16-bit numbers: half the size.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="Where to compute; auto takes a GPU if there is one [auto].",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write to a copy of the graph in this folder; GRAPH stays as it is.",
)
@click.option("--replace", is_flag=True, help="Replace a modality of this name.")
@click.option("--restart", is_flag=True, help="Drop what an interrupted attempt has finished.")
@click.option(
    "--allow-download",
    is_flag=True,
    help="Fetch a model from the Hugging Face hub; without it nothing is downloaded.",
)
def command(
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
    """
    from momok.encoders import encode_modality
    from momok.graph.catalog import find_writable_folder
    from momok.progress import ProgressBar

    folder = find_writable_folder(graph, out)
    with ProgressBar() as bar:
        bar.progress("loading the encoder", 0, 0)
        encoding = encode_modality(
            folder,
            kind,
            fields=[field.strip() for field in fields.split(",") if field.strip()],
            progress=bar.progress,
            **options,
        )
    _show(encoding, folder, _NOTHING[kind])


def _show(encoding: Encoding, folder: Path, what: str) -> None:
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
