"""numbers.tsv."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.errors import DataError, FormatError
from momok.graph.numbers import read_numbers, write_numbers

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
