"""``momok rules``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from momok.cli.completion import complete_graph
from momok.console import console, print_json, print_line

if TYPE_CHECKING:
    from momok.graph import MultimodalGraph
    from momok.rules import Rule, Rules

_KINDS = {"one-step": "one_step", "two-steps": "two_steps", "constant": "constant"}


@click.command("rules")
@click.argument("source", metavar="RUN|GRAPH", shell_complete=complete_graph)
@click.option("--relation", metavar="NAME", help="Those that conclude this relation [all].")
@click.option("--kind", type=click.Choice(list(_KINDS)), help="Those of one kind [all].")
@click.option("--limit", type=click.IntRange(0), default=20, help="How many are printed [20].")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead.")
def command(
    *, source: str, relation: str | None, kind: str | None, limit: int, as_json: bool
) -> None:
    """Print the rules that the train facts follow, the surest first.

    Of a RUN whose pool has rules (as those of the default preset) they are its own; of another run,
    or of a GRAPH (a folder or a name of `momok data list`), they are mined now.

    \b
    momok rules world --relation borders
    momok rules RUN --kind one-step
    momok rules MKG-Y --limit 1000 --json > rules.json

    `borders(x, y) <- borders(y, x)` reads: x borders y where y borders x. Kinds: one-step, from one
    relation to another; two-steps, over an entity z between; constant, what has this has that (_ is
    anything). Confidence: the facts of train that a rule concludes (support), by the cases of its
    body and five more, so that little support is no certainty. A leak is a rule that gives held-out
    facts away, as `momok data check` counts them: the same fact under another relation, or turned
    round, stands in train.
    """
    from momok.rules import choose_rules
    from momok.rules.leaks import Leaks

    graph, rules = _load(source)
    chosen = None if relation is None else graph.find_relation(relation)
    found, count = choose_rules(
        rules, relation=chosen, kind=None if kind is None else _KINDS[kind], limit=limit
    )
    leaks = Leaks(graph)
    described = [_describe(rule, graph, leaks.include(rule)) for rule in found]
    if as_json:
        about = {"format": "momok-rules", "version": 1, "graph": graph.name, "count": count}
        print_json(about | {"rules": described})
        return
    _show(described)
    print_line(f"{len(found):,} of {count:,} rules, the surest first")
    if any(rule["leak"] for rule in described):
        print_line("leak: gives held-out facts away; momok data check says how many")


def _load(source: str) -> tuple[MultimodalGraph, Rules]:
    """The graph and the rules of a run, or of a graph."""
    from momok.graph import load_graph
    from momok.rules import Rules, mine_rules

    if (Path(source) / "run.json").is_file():
        from momok.training import RunFolder

        folder = RunFolder(source)
        graph = folder.load_graph()
        if folder.rules_file.is_file():
            return graph, Rules.load(folder.rules_file, graph.train)
    else:
        graph = load_graph(source)
    return graph, mine_rules(graph.train, graph.num_entities, graph.num_relations)


def _describe(rule: Rule, graph: MultimodalGraph, leak: bool) -> dict[str, Any]:
    from momok.rules import write_formula

    relation = rule.relation % graph.num_relations
    return {
        "rule": write_formula(rule, graph),
        "relation": graph.relations.labels[relation],
        "kind": rule.kind,
        "support": rule.support,
        "cases": rule.body,
        "confidence": rule.confidence,
        "leak": leak,
    }


def _show(rules: list[dict[str, Any]]) -> None:
    from rich.table import Column

    from momok.cli.views import build_table

    kinds = {value: name for name, value in _KINDS.items()}
    rows = (
        [
            rule["rule"],
            kinds[rule["kind"]],
            f"{rule['support']:,}",
            f"{rule['cases']:,}",
            f"{rule['confidence']:.3f}",
            "leak" if rule["leak"] else "",
        ]
        for rule in rules
    )
    columns = ("rule", Column("kind", no_wrap=True), "support", "cases", "confidence", "")
    console().print(build_table(*columns, rows=rows))
