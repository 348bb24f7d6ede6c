"""``momok evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import click

from momok.console import console, print_json, print_line

if TYPE_CHECKING:
    from momok.evaluation import Evaluation
    from momok.graph import MultimodalGraph

GROUPINGS = ("head", "side", "relation", "cardinality", "presence", "seen", "ties")
_DEFAULT = ("head", "ties", "side", "cardinality", "seen")


@click.command("evaluate")
@click.argument("run")
@click.option(
    "--split",
    type=click.Choice(["valid", "test"]),
    default="test",
    help="Which facts to rank [test].",
)
@click.option(
    "--protocol",
    type=click.Choice(["clean", "published"]),
    help="clean: the checkpoint chosen on validation. published: the best of each metric over "
    "epochs, for comparison only [as the run was trained].",
)
@click.option(
    "--by",
    "groupings",
    type=click.Choice(GROUPINGS),
    multiple=True,
    help="Which tables to print; may be repeated [head, ties, side, cardinality, seen].",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead.")
def command(
    *,
    run: str,
    split: Literal["valid", "test"],
    protocol: Literal["clean", "published"] | None,
    groupings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Rank the held-out facts of a run: filtered MRR and Hits, by head and by every grouping.

    The result is also written into the run folder, with the rank of every query.
    """
    from momok.training import RunFolder, evaluate_run

    folder = RunFolder(run)
    evaluation = evaluate_run(folder, split, protocol=protocol, progress=True)
    if as_json:
        print_json(evaluation.to_json())
        return
    _show(evaluation, folder.load_graph(), groupings or _DEFAULT, str(folder.data["name"]))
    print_line(f"Written to {folder.path}/results")


def _show(
    evaluation: Evaluation, graph: MultimodalGraph, groupings: tuple[str, ...], name: str
) -> None:
    from momok.cli.views.metrics import build_group_table, build_heads_table, describe_protocol

    out = console()
    published = evaluation.protocol == "published"
    for grouping in dict.fromkeys(groupings):
        if grouping == "ties" and published:  # epochs were ranked by one rule
            continue
        if grouping == "head":
            out.print(build_heads_table(evaluation, name))
        else:
            title, groups = _group(evaluation, graph, grouping)
            out.print(build_group_table(title, grouping, groups, width=out.width))
        out.print()
    if evaluation.num_unseen_facts:
        out.print(
            f"{evaluation.num_unseen_facts:,} of the {evaluation.num_facts:,} facts have an entity "
            "that train never shows (unseen)."
        )
    out.print(describe_protocol(evaluation))
    if published and set(groupings) - {"head"}:
        out.print("Groupings show the model chosen on test; only the table by head is the best of.")


def _group(
    evaluation: Evaluation, graph: MultimodalGraph, grouping: str
) -> tuple[str, list[tuple[str, Any]]]:
    """The title of a grouping and its rows."""
    if grouping == "relation":
        names = dict(zip(graph.relations.labels, graph.relation_names, strict=True))
        rows = [(names[label], heads) for label, heads in evaluation.by_relation.items()]
        rows.sort(key=lambda row: -row[1]["answer"].count)
        return "By relation, most frequent first", rows
    if grouping == "presence":
        rows = [
            (f"{modality}: {group.replace('_', ' ')}", heads)
            for modality, groups in evaluation.by_presence.items()
            for group, heads in groups.items()
            if modality != "structure"  # which every entity has
        ]
        return "By presence of a modality, at the query's entity and at the answer", rows
    if grouping == "side":
        words = {"tail": "tail (h, r, ?)", "head": "head (?, r, t)"}
        return "By side", [(words[side], heads) for side, heads in evaluation.by_side.items()]
    title, groups = {
        "ties": ("By tie rule: how equal scores are ranked", evaluation.by_tie_rule),
        "cardinality": ("By cardinality of the relation", evaluation.by_cardinality),
        "seen": ("By whether train shows both entities", evaluation.by_seen),
    }[grouping]
    return title, list(groups.items())
