"""The whole check: names, folders, graphs in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from momok.errors import DataError
from momok.graph import load_graph, write_momok_folder
from momok.graph.doctor import CHECKS, check_graph


def test_a_graph_in_memory_is_checked_as_it_is(small):
    report = check_graph(small)
    assert (report.name, report.problems, report.worst) == ("small", (), None)
    assert report.checks == CHECKS


def test_the_world_by_name_is_sound():
    stages = []
    report = check_graph("world", lambda what, done, total: stages.append((what, done, total)))
    assert report.worst == "note"
    assert {stage for stage, _, _ in stages} >= {"checking facts", "checking labels"}
    assert all(0 <= done <= total for _, done, total in stages)
    covered = {c.modality: (c.entities, c.by_type[0]) for c in report.overview.coverage}
    assert covered["pictures"] == covered["image"] == (250, ("country", 250, 250))


def test_a_folder_that_loading_refuses_is_checked(small, tmp_path):
    write_momok_folder(small, tmp_path / "g")
    (tmp_path / "g/features").mkdir()
    (tmp_path / "g/features/text.json").write_text("{")
    (tmp_path / "g/entities.tsv").write_text(
        "label\tpicture\n" + "".join(f"{x}\t/etc/hosts\n" for x in small.entities.labels)
    )
    with pytest.raises(DataError):
        load_graph(tmp_path / "g")
    found = {(a.kind, a.severity) for a in check_graph(tmp_path / "g").problems}
    assert found == {
        ("unreadable-features", "error"),
        ("picture-outside", "error"),
        ("changed", "warning"),
    }


def test_a_published_folder_with_a_fault_of_every_reader(benchmark_folder):
    folder = benchmark_folder(
        train="France borders Spain .\nFrance borders Spain .\nFrance borders\n"
        "France borders Narnia .\nGermany part_of Europe .\n",
        valid="France borders Spain .\n",
    )
    found = {a.kind: a.count for a in check_graph(folder).problems}
    assert {k: found[k] for k in ("duplicate", "malformed", "unknown-label", "overlap")} == {
        "duplicate": 1, "malformed": 1, "unknown-label": 1, "overlap": 1,
    }  # fmt: skip


def test_skipped_checks_are_not_made(small):
    broken = replace(small, valid=small.train[:1])
    assert check_graph(broken).worst == "error"
    report = check_graph(broken, skip=["splits", "pictures"])
    assert report.checks == ("leakage", "labels", "features")
    assert {a.check for a in report.problems} <= {"leakage", "labels", "features"}


def test_what_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(DataError, match="is no graph"):
        check_graph(tmp_path)
    with pytest.raises(DataError, match="no graph and no folder 'wrold'"):
        check_graph("wrold")
