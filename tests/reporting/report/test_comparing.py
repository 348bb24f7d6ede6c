"""Several runs: means, deviations and intervals against arithmetic of another kind."""

from __future__ import annotations

import json
import random
import re
import shutil
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from momok.config import resolve_config
from momok.errors import RunError
from momok.graph import MultimodalGraph, Vocabulary
from momok.reporting.report import write_report
from momok.reporting.report.comparing import (
    Group,
    check_comparable,
    compare,
    group_runs,
    list_differing_settings,
)
from momok.reporting.report.comparison_page import find_changes
from momok.reporting.report.contents import RunContents, name_runs
from momok.training import RunFolder
from tests.reporting.report.pages import list_numbers, read_page
from tests.training.small_training import drop_checksums

CopyRun = Callable[[str], Path]


@pytest.fixture(scope="module")
def runs(trained: dict[str, Path]) -> dict[str, RunContents]:
    return {name: RunContents(path) for name, path in trained.items()}


def _read_reciprocals(path: Path) -> list[float]:
    """1 / realistic rank of every query, from the file, without momok."""
    arrays = load_file(path / "results" / "test-ranks.safetensors")
    pairs = zip(
        arrays["optimistic/answer"].tolist(), arrays["pessimistic/answer"].tolist(), strict=True
    )
    return [2 / (low + high) for low, high in pairs]


def _bootstrap(differences: list[float], samples: int = 4000) -> tuple[float, float]:
    """The percentile interval by the standard library's generator, one query after the other."""
    generator = random.Random(11)
    means = sorted(
        statistics.fmean(generator.choices(differences, k=len(differences))) for _ in range(samples)
    )
    return means[int(0.025 * samples)], means[int(0.975 * samples)]


def test_intervals_agree_with_an_independent_bootstrap(
    runs: dict[str, RunContents], trained: dict[str, Path]
) -> None:
    units = [Group(name=name, runs=[runs[name]]) for name in ("first", "narrow")]
    [difference] = compare(units)
    after, before = (_read_reciprocals(trained[name]) for name in ("narrow", "first"))
    changes = [a - b for a, b in zip(after, before, strict=True)]
    value, low, high = difference.metrics["MRR"]
    assert value == pytest.approx(statistics.fmean(changes), abs=1e-12)
    facts = len(changes) // 2  # tail queries, then head queries
    per_fact = [(changes[i] + changes[i + facts]) / 2 for i in range(facts)]
    expected = _bootstrap(per_fact)
    width = expected[1] - expected[0]
    assert width > 0
    assert low == pytest.approx(expected[0], abs=0.12 * width)
    assert high == pytest.approx(expected[1], abs=0.12 * width)
    # Many queries: the percentile interval is near that of the normal distribution.
    error = 1.96 * statistics.stdev(per_fact) / facts**0.5
    assert high - low == pytest.approx(2 * error, rel=0.25)
    assert difference.better == sum(c > 0 for c in changes)
    assert difference.worse == sum(c < 0 for c in changes)
    assert difference.better + difference.worse + difference.equal == len(changes)


def test_the_difference_of_means_is_that_of_the_result_files(
    runs: dict[str, RunContents], trained: dict[str, Path]
) -> None:
    groups = group_runs(list(runs.values()))
    assert [[run.name for run in group.runs] for group in groups] == [
        ["first", "second"],
        ["narrow"],
    ]
    [difference] = compare(groups)
    overall = {
        name: json.loads((path / "results" / "test.json").read_text())["by_tie_rule"]["realistic"]
        for name, path in trained.items()
    }
    for metric, read in (
        ("MRR", lambda m: m["mrr"]),
        ("Hits@1", lambda m: m["hits"]["1"]),
        ("Hits@10", lambda m: m["hits"]["10"]),
    ):
        values = {name: read(metrics["answer"]) for name, metrics in overall.items()}
        expected = values["narrow"] - (values["first"] + values["second"]) / 2
        assert difference.metrics[metric][0] == pytest.approx(expected, abs=1e-12)


def test_a_run_against_itself_does_not_differ(runs: dict[str, RunContents]) -> None:
    same = [Group(name="a", runs=[runs["first"]]), Group(name="b", runs=[runs["first"]])]
    [difference] = compare(same)
    assert all(interval == (0.0, 0.0, 0.0) for interval in difference.metrics.values())
    assert (difference.better, difference.worse) == (0, 0)


def test_the_questions_that_differ_most_have_their_ranks(
    runs: dict[str, RunContents], trained: dict[str, Path]
) -> None:
    groups = [Group(name=name, runs=[runs[name]]) for name in ("first", "narrow")]
    table = find_changes(*groups)
    before, after = (_read_reciprocals(trained[name]) for name in ("first", "narrow"))
    changes = sorted(a - b for a, b in zip(after, before, strict=True))
    shown = [
        [1 / float(value) for value in re.findall('value="([^"]+)"', "".join(row[2:]))]
        for _, rows in table
        for row in rows
    ]
    differences = [new - old for old, new in shown]
    gains = [d for d in differences if d > 0]
    losses = [d for d in differences if d < 0]
    assert gains == pytest.approx(changes[: -len(gains) - 1 : -1])
    assert losses == pytest.approx(changes[: len(losses)])
    assert len(gains) == 6
    assert find_changes(groups[0], groups[0]) == []


def test_means_on_the_page_are_those_of_the_files(
    several_page: Path, trained: dict[str, Path]
) -> None:
    mrr = [
        json.loads((trained[name] / "results" / "test.json").read_text())["by_tie_rule"]
        ["realistic"]["answer"]["mrr"]
        for name in ("first", "second")
    ]  # fmt: skip
    numbers = [n for n in list_numbers(read_page(several_page)) if not n.source]
    for expected in (statistics.mean(mrr), statistics.stdev(mrr)):
        found = [n for n in numbers if abs(float(n.value) - expected) < 1e-12]
        assert found
        assert all(n.text == f"{100 * expected:.2f}" for n in found)


def test_settings_decide_what_belongs_together(runs: dict[str, RunContents]) -> None:
    differing = list_differing_settings([runs["first"], runs["narrow"]])
    assert set(differing) == {"model.modalities"}
    names = [group.name for group in group_runs(list(runs.values()))]
    assert names == ["A: modalities all", "B: modalities structure"]
    alone = group_runs([runs["first"], runs["narrow"]])
    assert [group.name for group in alone] == ["first", "narrow"]


def test_runs_of_other_facts_are_refused(
    runs: dict[str, RunContents], trained: dict[str, Path], tmp_path: Path
) -> None:
    facts = np.array([[0, 0, 1]], dtype=np.int64)
    graph = MultimodalGraph(
        name="other",
        entities=Vocabulary(("a", "b")),
        relations=Vocabulary(("r",)),
        train=facts,
        valid=facts,
        test=facts,
    )
    other = RunFolder.create(tmp_path / "other", graph, resolve_config(), {})
    with pytest.raises(RunError, match=r"other \(published split.*which are not the same facts"):
        check_comparable([runs["first"], RunContents(other.path)])
    out = tmp_path / "page.html"
    with pytest.raises(RunError, match="cannot be compared"):
        write_report([trained["first"], other.path], out=out)
    assert not out.exists()


def test_a_run_is_not_compared_with_itself(trained: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="given twice"):
        write_report([trained["first"], trained["first"] / "."], out=tmp_path / "page.html")


def test_unfinished_published_and_equal_runs_are_marked(
    trained: dict[str, Path], copy_run: CopyRun, tmp_path: Path
) -> None:
    unfinished = copy_run("second")
    shutil.rmtree(unfinished / "results")
    again = Path(shutil.copytree(trained["first"], tmp_path / "elsewhere" / "first"))
    published = copy_run("narrow")
    drop_checksums(published)
    config = json.loads((published / "config.json").read_text())
    config["evaluation"]["protocol"] = "published"
    (published / "config.json").write_text(json.dumps(config))
    page = write_report(
        [trained["first"], unfinished, again, published], out=tmp_path / "page.html"
    )
    text = "".join(read_page(page).itertext())
    assert "second: there is no test result" in " ".join(text.split())
    assert "Seed 0 is there more than once" in text
    assert "Not comparable: narrow used the published protocol" in text
    assert "elsewhere/first" in text


def test_runs_of_one_name_are_told_apart() -> None:
    paths = [Path(f"/data/{part}/runs/world") for part in "abc"] + [Path("/data/other")]
    names = ["a/runs/world", "b/runs/world", "c/runs/world", "other"]
    assert name_runs(paths) == names
    long = [Path(f"/data/{'x' * 60}{part}{'y' * 60}") for part in "ab"]
    named = name_runs(long)
    assert len(set(named)) == 2
    assert max(map(len, named)) <= 60
