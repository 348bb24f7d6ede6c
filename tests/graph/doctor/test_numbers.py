"""Numbers of a folder."""

from __future__ import annotations

import pytest

from momok.graph.doctor.features import check_numbers

HEADER = "entity\tattribute\tvalue\n"


def test_no_file_is_nothing(tmp_path, small):
    assert check_numbers(tmp_path, small) == ([], None)


def test_sound_numbers_are_covered(tmp_path, small):
    (tmp_path / "numbers.tsv").write_text(HEADER + "France\tarea\t5\nEurope\tarea\t7\n")
    found, has = check_numbers(tmp_path, small)
    assert (found, has.tolist()) == ([], [True] + [False] * 5 + [True])


@pytest.mark.parametrize("line", ["France\tarea\tnan\n", "France\tarea\n", "France\tarea\tx\n"])
def test_what_cannot_be_read_is_an_error(tmp_path, small, line):
    (tmp_path / "numbers.tsv").write_text(HEADER + line)
    [told], has = check_numbers(tmp_path, small)
    assert (told.kind, told.severity, has) == ("unreadable-numbers", "error", None)
    assert "numbers.tsv:2" in told.message


def test_strangers_and_constants(tmp_path, small):
    lines = "France\tarea\t5\nSpain\tarea\t5\nAtlantis\tdepth\t1\nFrance\tyear\t843\n"
    (tmp_path / "numbers.tsv").write_text(HEADER + lines)
    found, has = check_numbers(tmp_path, small)
    told = {a.kind: a for a in found}
    assert told["unknown-numbers"].examples == ("Atlantis",)
    assert (told["unknown-numbers"].count, told["unknown-numbers"].total) == (1, 3)
    assert told["constant-number"].examples == ("area is 5",)
    assert has.sum() == 2
