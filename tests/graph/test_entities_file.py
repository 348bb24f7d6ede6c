"""entities.tsv and numbers.tsv."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from momok.errors import DataError, FormatError
from momok.graph.entities_file import read_numbers, read_table, write_numbers

LABELS = st.text(st.characters(exclude_characters="\t\r\n", exclude_categories=["Cs"]), min_size=1)
VALUES = st.floats(allow_nan=False, allow_infinity=False)


@given(
    numbers=st.dictionaries(
        LABELS, st.dictionaries(LABELS, VALUES, min_size=1, max_size=3), max_size=3
    )
)
def test_numbers_read_back(numbers: dict[str, dict[str, float]], tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("numbers")
    write_numbers(folder, numbers)
    assert read_numbers(folder) == numbers


def test_a_folder_without_the_file_has_none(tmp_path: Path) -> None:
    assert read_numbers(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", ":1"),
        ("entity\tvalue\n", ":1"),
        ("entity\tattribute\tvalue\na\tyear\n", ":2"),
        ("entity\tattribute\tvalue\n\n\tyear\t1\n", ":3"),
        ("entity\tattribute\tvalue\na\tyear\tlong ago\n", ":2"),
        ("entity\tattribute\tvalue\na\tyear\tnan\n", ":2"),
        ("entity\tattribute\tvalue\na\tyear\t1\na\tyear\t2\n", ":3"),
    ],
)
def test_malformed_lines_are_placed(text: str, place: str, tmp_path: Path) -> None:
    (tmp_path / "numbers.tsv").write_text(text)
    with pytest.raises(FormatError, match=f"numbers.tsv{place}: "):
        read_numbers(tmp_path)


@pytest.mark.parametrize(
    "numbers",
    [{"": {"a": 1.0}}, {"y": {"a\tb": 1.0}}, {"y\n": {"a": 1.0}}, {"y": {"a": float("inf")}}],
)
def test_what_cannot_be_written_is_said(numbers, tmp_path: Path) -> None:
    with pytest.raises(DataError):
        write_numbers(tmp_path, numbers)
    assert not list(tmp_path.iterdir())


cell = st.sampled_from(["", "a", "b", "c", "d e", "é", "x\ry", "\x85"])


@given(
    header=st.sampled_from(["label", "label\tname", "name\tlabel\ttype", "name"]),
    rows=st.lists(st.lists(cell, min_size=1, max_size=4).map("\t".join), max_size=6)
    | st.lists(st.sampled_from("abcdef"), max_size=6, unique=True).map(
        lambda labels: [f"{label}\t{label}" for label in labels]
    ),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
)
@example(header="label", rows=["a\tb\tc"], end="\n", last=False)
@settings(deadline=None)
def test_blank_lines_at_the_end_of_a_table_change_nothing(
    tmp_path_factory, header, rows, end, last
):
    path = tmp_path_factory.mktemp("table") / "entities.tsv"
    text = end.join([header, *rows])

    def outcome(content):
        path.write_text(content, newline="")
        try:
            table = read_table(path)
        except DataError as error:
            return str(error)
        return table.labels, list(table.columns.items()), list(table.line_numbers)

    assert outcome(text + end * last) == outcome(text + end * 3)
