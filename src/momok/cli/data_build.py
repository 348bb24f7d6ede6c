"""``momok data build``."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from momok.graph.reviewed import ReviewedFacts
    from momok.graph.sources.reading import SourceOptions

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FORMATS = ["table", "rdf", "momok", "benchmark", "openke", "mygo", "pykeen", "splits"]


def _parse_columns(
    _: click.Context, __: click.Parameter, text: str | None
) -> tuple[str, ...] | None:
    names = None if text is None else [name.strip() for name in text.split(",")]
    if names is not None and (len(names) not in (2, 3) or not all(names)):
        raise click.UsageError(
            f"--columns {text!r}: expected three, those of head, relation and tail, with commas "
            f"between them; with --relation two, those of head and tail"
        )
    return None if names is None else tuple(names)


def _parse_delimiter(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    named = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}
    delimiter = None if text is None else named.get(text, text)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise click.UsageError(f"--delimiter {text!r}: expected one character, or tab")
    return delimiter


def _parse_encoding(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    try:
        if text is not None:
            "a".encode(text)  # codecs that are of no text, as base64, have no name to it
        return None if text is None else codecs.lookup(text).name
    except (LookupError, UnicodeError):
        raise click.UsageError(
            f"--encoding {text!r}: expected one that Python knows, as in cp1252, latin-1 or utf-16"
        ) from None


def _parse_ratio(_: click.Context, __: click.Parameter, text: str) -> tuple[float, ...]:
    try:
        train, valid, test = map(float, re.split("[/:,]", text))
    except ValueError:
        raise click.UsageError(
            f"--ratio {text!r}: expected the shares of train, valid and test, as in 80/10/10"
        ) from None
    return train, valid, test


@click.command("build", short_help="Make a graph of your facts, texts and pictures.")
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@click.option("--out", required=True, type=_FOLDER, help="The folder of the new graph.")
@click.option("--train", type=_FILE, help="Facts to learn from, where they are split already.")
@click.option("--valid", type=_FILE, help="Facts to choose a model with.")
@click.option("--test", type=_FILE, help="Facts to judge a model with.")
@click.option(
    "--entities",
    type=_FILE,
    help="A table of entities: label or id, name, description, "
    "picture, type; columns of numbers or dates become numbers.",
)
@click.option("--key", metavar="COLUMN", help="That table's column of the labels in the facts.")
@click.option("--name-column", metavar="COLUMN", help="Its column of names.")
@click.option("--description", metavar="COLUMN", help="Its column of texts.")
@click.option("--pictures", type=_FOLDER, help="A folder of pictures named by the labels.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(_FORMATS),
    help="What the sources are [recognised by their files].",
)
@click.option(
    "--columns",
    metavar="HEAD,RELATION,TAIL",
    callback=_parse_columns,
    help="Columns of the facts, by their names in the header or by position from 1.",
)
@click.option(
    "--delimiter",
    callback=_parse_delimiter,
    help="What separates columns: one character, or 'tab' [guessed].",
)
@click.option(
    "--header/--no-header", default=None, help="The first line names the columns [guessed]."
)
@click.option(
    "--quotes/--no-quotes", default=None, help="Quotes around a field are no part of it [guessed]."
)
@click.option(
    "--encoding",
    callback=_parse_encoding,
    metavar="NAME",
    help="Encoding of tables, as in cp1252, latin-1 or utf-16 [utf-8].",
)
@click.option(
    "--relation", metavar="TEXT", help="The relation of all facts, where the tables name none."
)
@click.option(
    "--weight",
    metavar="COLUMN",
    help="The column that says how much a fact counts in training, numbers above 0 [one called "
    "weight, confidence or score].",
)
@click.option("--no-weight", is_flag=True, help="No column is a weight: facts count alike.")
@click.option(
    "--keep-columns",
    default="",
    metavar="COLUMN,...",
    help="Further columns of the facts to keep, beside times and sources.",
)
@click.option(
    "--language",
    "languages",
    multiple=True,
    default=("en",),
    metavar="CODE",
    help="Language of names and texts in RDF; repeat it for a second choice [en].",
)
@click.option("--types-as-facts", is_flag=True, help="RDF: rdf:type is a relation too.")
@click.option("--keep-blank-nodes", is_flag=True, help="RDF: blank nodes are entities.")
@click.option("--sparql", metavar="URL", help="The address of a SPARQL endpoint to read from.")
@click.option(
    "--query",
    metavar="TEXT|@FILE",
    help="What to ask it: CONSTRUCT, or SELECT ?head ?relation ?tail.",
)
@click.option(
    "--page",
    type=click.IntRange(min=1),
    metavar="ROWS",
    help="Ask for so many rows at once, again and again, where the endpoint does not give all; "
    "the query then needs an ORDER BY.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60,
    metavar="SECONDS",
    help="How long the endpoint may be silent [60].",
)
@click.option(
    "--ratio",
    default="80/10/10",
    metavar="TRAIN/VALID/TEST",
    callback=_parse_ratio,
    help="Shares of the splits, where the source has none [80/10/10].",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    metavar="N",
    help="Random seed of the split [0].",
)
@click.option(
    "--drop-inverse-leaks",
    is_flag=True,
    help="Of two relations that are each other's inverse or duplicate, leave out the one that the "
    "source names later.",
)
@click.option(
    "--keep", multiple=True, metavar="RELATION", help="Of such two keep this one; may be repeated."
)
@click.option(
    "--leave-out",
    multiple=True,
    metavar="RELATION",
    help="Leave out the facts of a relation; may be repeated.",
)
@click.option(
    "--literals",
    multiple=True,
    metavar="RELATION",
    help="The tails of a relation are no entities but numbers, dates or texts of its heads; may be "
    "repeated.",
)
@click.option(
    "--with-reviews",
    metavar="FILE|RUN|ADDRESS",
    help="Decisions of reviewers: a file, a run folder or a database. Accepted facts join train, "
    "rejected ones are kept as negatives.",
)
@click.option("--link-pictures", is_flag=True, help="Hard links instead of copies of the pictures.")
@click.option("--name", default="", help="Name of the graph [that of the source or the folder].")
@click.option(
    "--force", "overwrite", is_flag=True, help="Replace a graph that is in the folder already."
)
@click.option("--strict", is_flag=True, help="Lines that cannot be used are errors.")
def command(sources: tuple[str, ...], out: Path, **given: Any) -> None:
    """Make a graph of facts, texts and pictures as you have them.

    A SOURCE is a file of facts (CSV, TSV, Parquet, JSON or RDF; plain, gzip, zstd or zip), a folder
    (train/valid/test files, OpenKE, MyGO, a published benchmark, PyKEEN, momok's own), or the name
    of a graph. Several are one graph. Beside facts in a folder, a table 'entities' and a folder
    'pictures' are found.

    Splits that are there are kept. Otherwise every entity and relation gets a fact in train, and
    facts that give each other away (reversed, or of inverse or duplicate relations) stay together.

    \b
    momok data build facts.csv --entities things.csv --pictures photos --out my-graph
    momok data build facts.tsv.gz --columns subject,predicate,object --out my-graph
    momok data build --train a.tsv --valid b.tsv --test c.tsv --out my-graph
    momok data build museum.ttl.gz --language de --language en --out museum
    momok data build --sparql http://localhost:7878/query --query @facts.rq --out my-graph
    momok data build world --with-reviews runs/world --out world-reviewed
    """
    from momok.cli.views.build_report import show_build_report
    from momok.graph.build import BuildOptions, build_graph, check_target
    from momok.graph.sources.reading import read_sources
    from momok.progress import ProgressBar

    options = _read_source_options(given)
    if given["keep"] and not given["drop_inverse_leaks"]:
        raise click.UsageError("--keep says what --drop-inverse-leaks keeps; give that too")
    building = BuildOptions(
        **_pick(given, "ratio", "seed", "drop_inverse_leaks", "keep"),
        **_pick(given, "link_pictures", "overwrite", "name"),
    )
    check_target(out, overwrite=building.overwrite)
    with ProgressBar() as bar:
        raw = read_sources(sources, options, progress=bar.progress)
        reviews = load_reviews(given["with_reviews"])
        report = build_graph(raw, out, building, reviews=reviews, progress=bar.progress)
    show_build_report(report)


def load_reviews(place: str | None) -> ReviewedFacts | None:
    """What reviewers have decided, from a file, a run folder or a database."""
    if place is None:
        return None
    from momok.serving.reviews.places import load_reviewed_facts

    return load_reviewed_facts(place)


def _read_source_options(given: dict[str, Any]) -> SourceOptions:
    from momok.graph.sources.raw import TableOptions
    from momok.graph.sources.rdf_collect import RdfOptions
    from momok.graph.sources.reading import SourceOptions
    from momok.graph.sources.sparql import SparqlSource
    from momok.graph.text_files import read_lines

    url, query, sparql = given["sparql"], given["query"], None
    if (url is None) != (query is None):
        raise click.UsageError("--sparql and --query belong together: an address and what to ask")
    if url is not None:
        if query.startswith("@"):
            query = "\n".join(read_lines(Path(query[1:])))
        sparql = SparqlSource(url, query, given["page"], given["timeout"])
    if given["no_weight"] and given["weight"] is not None:
        raise click.UsageError("--weight and --no-weight exclude each other")
    return SourceOptions(
        format=given["kind"],
        table=TableOptions(
            **_pick(given, "columns", "delimiter", "header", "quotes", "encoding", "relation"),
            weight=False if given["no_weight"] else given["weight"],
            kept=tuple(filter(None, map(str.strip, given["keep_columns"].split(",")))),
            strict=given["strict"],
        ),
        splits={s: given[s] for s in ("train", "valid", "test") if given[s] is not None},
        rdf=RdfOptions(**_pick(given, "languages", "types_as_facts", "keep_blank_nodes")),
        sparql=sparql,
        entity_columns={
            role: column
            for role, column in (
                ("key", given["key"]),
                ("name", given["name_column"]),
                ("description", given["description"]),
            )
            if column is not None
        },
        **_pick(given, "entities", "pictures", "leave_out", "literals"),
    )


def _pick(given: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: given[name] for name in names}
