"""The formats that are a folder, and what the command line offers of them."""

from __future__ import annotations

from pathlib import Path

import click

from momok.cli.data_build import command
from momok.graph import load_graph, write_momok_folder
from momok.graph.sources.formats import FOLDER_FORMATS


def test_the_command_line_offers_every_format() -> None:
    (option,) = (parameter for parameter in command.params if parameter.name == "kind")
    assert isinstance(option.type, click.Choice)
    assert set(option.type.choices) == {"table", "rdf", "splits", *FOLDER_FORMATS}


def test_a_folder_is_of_one_format_and_reads_as_it_was_written(tmp_path: Path) -> None:
    graph = load_graph("world")
    write_momok_folder(graph, tmp_path / "g", with_features=False)
    recognised = [name for name, known in FOLDER_FORMATS.items() if known.recognise(tmp_path / "g")]
    assert recognised == ["momok"]
    raw = FOLDER_FORMATS["momok"].read(tmp_path / "g")
    assert raw.entities == list(graph.entities.labels)
    assert {split: len(facts) for split, facts in raw.triples.items()} == {
        "train": len(graph.train),
        "valid": len(graph.valid),
        "test": len(graph.test),
    }
