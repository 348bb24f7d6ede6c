"""What a run was made of and on: data, findings, machine, time."""

from __future__ import annotations

import statistics
from typing import Any

from momok.graph import SPLIT_NAMES
from momok.reporting.report.blocks import (
    Cell,
    Code,
    Column,
    Facts,
    Label,
    Row,
    Section,
    Table,
    Text,
)
from momok.reporting.report.contents import RunContents
from momok.reporting.report.numbers import (
    clean_text,
    count,
    percent,
    point_to,
    seconds,
    shorten,
)

__all__ = ["data_section", "describe_time", "environment_section"]

_MOST_EXAMPLES = 5
_LONGEST_MESSAGE = 400
_ENVIRONMENT = {
    "device": "device",
    "precision": "precision",
    "threads": "threads",
    "cpu": "processor",
    "gpu": "GPU",
    "python": "Python",
    "torch": "PyTorch",
    "numpy": "NumPy",
    "platform": "system",
}


def data_section(contents: RunContents) -> Section:
    """Sizes, features, split and what reading the graph found."""
    data, graph = contents.data, contents.graph
    rows: list[tuple[str, Cell]] = [
        ("graph", Label(text=contents.graph_name)),
        ("read from", Code(text=shorten(str(data["source"])) or "memory")),
        ("entities", count(data["entities"], point_to("data.json", "entities"))),
        ("relations", count(data["relations"], point_to("data.json", "relations"))),
    ]
    rows += [
        (f"{split} facts", count(data["facts"][split], point_to("data.json", "facts", split)))
        for split in SPLIT_NAMES
    ]
    rows.append(("split", f"{data['split']}"))
    if graph.licence:
        rows.append(("licence", Label(text=shorten(graph.licence))))
    rows.append(("fingerprint", Code(text=clean_text(str(data["fingerprint"]))[:16] + "…")))
    blocks: list[Any] = []
    if graph.about:
        blocks.append(Text(sentence=(Label(text=shorten(graph.about, _LONGEST_MESSAGE)),)))
    blocks.append(Facts(rows=rows))
    notes = [shorten(str(note), _LONGEST_MESSAGE) for note in data.get("split_notes", ())]
    blocks += [Text(sentence=(f"Split: {note}.",)) for note in notes]
    if data.get("features"):
        blocks.append(_features_table(contents))
    blocks.append(
        _findings_table(contents)
        if data.get("findings")
        else Text(sentence=("Reading the graph found nothing wrong with it.",))
    )
    return Section(slug="data", title="Data", blocks=blocks)


def environment_section(contents: RunContents) -> Section:
    """The machine, versions, and where the time went."""
    environment = contents.environment
    rows: list[tuple[str, Cell]] = [
        (words, _show(environment[key], point_to("environment.json", key)))
        for key, words in _ENVIRONMENT.items()
        if key in environment
    ]
    rows += [
        (clean_text(key), _show(value, point_to("environment.json", key)))
        for key, value in environment.items()
        if key not in _ENVIRONMENT
    ]
    rows.append(("momok", Code(text=clean_text(str(contents.about.get("momok", "?"))))))
    rows.append(
        ("run made", clean_text(str(contents.about.get("created", "?"))[:16].replace("T", " ")))
    )
    rows.append(("state", contents.state))
    times = describe_time(contents)
    blocks: list[Any] = [Facts(rows=rows)]
    if times:
        blocks.append(Facts(rows=times, title="Time"))
    return Section(slug="environment", title="Environment and time", blocks=blocks)


def describe_time(contents: RunContents) -> list[tuple[str, Cell]]:
    """Seconds by kind of work, as the run logged them."""
    epochs = [record["seconds"] for record in contents.timings if record["kind"] == "epoch"]
    checks = [record["seconds"] for record in contents.timings if record["kind"] == "validation"]
    rows: list[tuple[str, Cell]] = []
    if epochs:
        rows += [
            ("epochs done", count(len(contents.epochs))),
            ("training, all epochs", seconds(sum(epochs))),
            ("an epoch, median", seconds(statistics.median(contents.epoch_seconds))),
            ("an epoch, slowest", seconds(max(contents.epoch_seconds))),
        ]
    if checks:
        rows += [
            ("validations", count(len(checks))),
            ("all validations", seconds(sum(checks))),
        ]
    return rows


def _features_table(contents: RunContents) -> Table:
    rows = []
    for name, features in contents.data["features"].items():

        def point(key: str, name: str = name) -> str:
            return point_to("data.json", "features", name, key)

        share = features["present"] / max(contents.data["entities"], 1)
        rows.append(
            Row(
                header=Label(text=shorten(name)),
                cells=[
                    count(features["width"], point("width")),
                    count(features["present"], point("present")),
                    percent(share, digits=1, bar=True),
                    Label(text=shorten(str(features.get("encoder", "")))),
                ],
            )
        )
    return Table(
        caption="Features by modality",
        columns=[
            Column(title="modality", number=False),
            Column(title="numbers each"),
            Column(title="entities"),
            Column(title="coverage, %"),
            Column(title="encoder", number=False),
        ],
        groups=[("", rows)],
        note="Widths are those in the files; the model may narrow them (features.reduce).",
    )


def _findings_table(contents: RunContents) -> Table:
    rows = []
    for place, finding in enumerate(contents.data["findings"]):
        examples = [shorten(str(e), 80) for e in finding.get("examples", ())[:_MOST_EXAMPLES]]
        rows.append(
            Row(
                header=Code(text=clean_text(str(finding["kind"]))),
                cells=[
                    count(finding["count"], point_to("data.json", "findings", place, "count")),
                    Label(text=shorten(str(finding["message"]), _LONGEST_MESSAGE)),
                    Label(text=", ".join(examples)),
                ],
            )
        )
    return Table(
        caption="What reading the graph found",
        columns=[
            Column(title="kind", number=False),
            Column(title="count"),
            Column(title="what", number=False),
            Column(title="examples", number=False),
        ],
        groups=[("", rows)],
    )


def _show(value: Any, source: str) -> Cell:
    if isinstance(value, int) and not isinstance(value, bool):
        return count(value, source)
    return Label(text=shorten(str(value)))
