"""Whole pages: valid, self-contained, accessible, and every number the one of the run's files."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np
import pytest
from PIL import Image

from momok.evaluation import ANSWER
from momok.prediction import Predictor
from momok.prediction.calibration.fit import calibrate_run
from momok.reporting.report import write_report
from momok.training import RunFolder
from tests.reporting.report.hostile_graph import ATTRIBUTE, HOSTILE, SCRIPT, SECRET
from tests.reporting.report.pages import check_page, list_numbers, look_up, read_page

CopyRun = Callable[[str], Path]


def _find(root: Element, slug: str) -> Element:
    [section] = [e for e in root.iter("section") if e.attrib["id"] == slug]
    return section


def _read_text(element: Element) -> str:
    return re.sub(r"\s+", " ", "".join(element.itertext()))


def _list_sections(root: Element) -> list[str]:
    return [e.attrib["id"] for e in root.iter("section")]


def test_the_page_of_one_run_is_valid_and_complete(single_page: Path) -> None:
    root = check_page(single_page)
    assert _list_sections(root) == [
        *("overview", "results", "training", "groups", "relations", "experts", "predictions"),
        *("data", "configuration", "environment", "reading"),
    ]
    [navigation] = root.iter("nav")
    assert [a.attrib["href"][1:] for a in navigation.iter("a")] == _list_sections(root)


def test_the_page_of_several_runs_is_valid_and_complete(several_page: Path) -> None:
    root = check_page(several_page)
    assert _list_sections(root) == [
        *("overview", "results", "differences", "groups", "relations", "training"),
        *("configuration", "environment", "reading"),
    ]


@pytest.mark.parametrize("page", ["single_page", "several_page"])
def test_every_number_is_the_one_of_its_file(
    page: str, trained: dict[str, Path], request: pytest.FixtureRequest
) -> None:
    root = read_page(request.getfixturevalue(page))
    runs = {"": trained["first"], **trained}
    traced = [number for number in list_numbers(root) if number.source]
    assert len(traced) > 60
    for number in traced:
        value = look_up(number.source, runs)
        assert float(number.value) == value, number
        digits = number.text.replace("−", "-").replace(",", "").removeprefix("seed ")
        shown = float(digits)
        decimals = 9 if "e" in digits else len(digits.partition(".")[2])
        scale = 100 if "/mrr" in number.source or "/hits/" in number.source else 1
        assert shown == pytest.approx(scale * value, abs=0.5001 * 10**-decimals), number


def test_the_headline_and_every_head_are_on_the_page(
    single_page: Path, first_run: RunFolder
) -> None:
    root = read_page(single_page)
    overall = json.loads((first_run.path / "results" / "test.json").read_text())["by_tie_rule"]
    overview = _read_text(_find(root, "overview"))
    for key in ("1", "3", "10"):
        assert f"{100 * overall['realistic']['answer']['hits'][key]:.2f}%" in overview
    results = _read_text(_find(root, "results"))
    for head, metrics in overall["realistic"].items():
        assert head in results
        assert f"{100 * metrics['mrr']:.2f}" in results


def test_hostile_labels_are_text(single_page: Path, several_page: Path) -> None:
    for page in (single_page, several_page):
        source = page.read_text(encoding="utf-8")
        assert "<script" not in source
        assert "onerror=" not in re.sub(r"&lt;.*?&gt;", "", source)
        assert not re.search(r'<[^>]*\sonmouseover="', source)
        assert "49 " not in _read_text(next(read_page(page).iter("h1")))
    text = _read_text(read_page(single_page))
    assert "hostile <u>graph</u>" in text
    assert "<b>knows</b>" in text
    assert "<i>by hand</i>" in text
    long = HOSTILE[6]
    assert long not in text


def test_labels_in_cases_are_escaped_and_isolated(single_page: Path) -> None:
    """All entities appear somewhere among the cases or not at all, never as markup."""
    root = read_page(single_page)
    names = {"".join(e.itertext()) for e in root.iter("bdi")}
    shown = [name for name in names if "script" in name or "onmouse" in name or "\u202e" in name]
    for name in shown:
        assert name.removeprefix("name of ") in {
            *(SCRIPT, ATTRIBUTE.strip(), HOSTILE[3], "</svg><script>alert(3)</script>")
        }


def test_pictures_are_small_copies_without_metadata(single_page: Path) -> None:
    pictures = [e.attrib["src"] for e in read_page(single_page).iter("img")]
    assert pictures
    for address in pictures:
        kind, _, code = address.partition(";base64,")
        assert kind == "data:image/webp"
        content = base64.b64decode(code)
        assert SECRET.encode() not in content
        with Image.open(io.BytesIO(content)) as picture:
            assert picture.format == "WEBP"
            assert max(picture.size) == 96
            assert picture.size == (96, 64)
            assert not picture.getexif()


def test_without_pictures(trained: dict[str, Path], tmp_path: Path) -> None:
    page = write_report([trained["first"]], out=tmp_path / "page.html", pictures=False)
    root = check_page(page)
    assert not list(root.iter("img"))
    assert "predictions" in _list_sections(root)


@pytest.mark.parametrize("calibrated", [False, True])
def test_cases_agree_with_the_model_and_the_ranks(
    single_page: Path, first_run: RunFolder, copy_run: CopyRun, tmp_path: Path, calibrated: bool
) -> None:
    if calibrated:
        first_run = RunFolder(copy_run("first"))
        calibrate_run(first_run)
        single_page = write_report([first_run.path], out=tmp_path / "page.html", pictures=False)
    graph, predictor = first_run.load_graph(), Predictor(first_run)
    tail = predictor.score_facts(graph.test, asked="tail").answer
    head = predictor.score_facts(graph.test, asked="head").answer
    scores_of_truth = np.concatenate([tail, head])
    assert (predictor.calibration is not None) == calibrated
    if predictor.calibration is not None:
        scores_of_truth = predictor.calibration.apply(ANSWER, scores_of_truth)
    truth = {round(1000 * p) for p in scores_of_truth}
    ranks = first_run.load_evaluation("test")
    section = _find(read_page(single_page), "predictions")
    assert ("(calibrated)" in "".join(section.itertext())) == calibrated
    cases = list(section.iter("article"))
    assert len(cases) >= 6
    for case in cases:
        [line] = [e for e in case.iter("li") if e.attrib.get("class") == "true"]
        place, probability = (float(e.attrib["value"]) for e in line.iter("data"))
        assert round(1000 * probability) in truth
        of_answer = next(case.iter("dl"))[-1]
        assert [float(e.attrib["value"]) for e in of_answer.iter("data")] == [place, probability]
        scores = [float(list(e.iter("data"))[-1].attrib["value"]) for e in case.iter("li")]
        assert scores == sorted(scores, reverse=True)
        assert sum(e.attrib.get("class") == "true" for e in case.iter("li")) == 1
    assert ranks.overall[ANSWER].count == 2 * len(graph.test)


def test_the_same_run_gives_the_same_bytes_wherever_they_go(
    single_page: Path, copy_run: CopyRun
) -> None:
    run = copy_run("first")
    path = write_report([run])
    assert path == run / "report.html"
    assert path.read_bytes() == single_page.read_bytes()
    assert not list(run.glob(".*.partial"))


def test_figures_are_saved_as_png_and_svg_where_they_are_wanted(
    copy_run: CopyRun, trained: dict[str, Path], tmp_path: Path, single_page: Path
) -> None:
    assert not (single_page.parent / "page-plots").exists()
    run = copy_run("first")
    path = write_report([run], plots=True)
    assert path.read_bytes() == single_page.read_bytes()
    several = list(trained.values())
    write_report(several, out=tmp_path / "several.html", plots=True)
    for folder, names in (
        (
            run / "plots",
            {"curves", "heads", "relations", "ranks", "groups", "presence", "experts"}
            | {"modalities", "disentanglement", "times"},
        ),
        (tmp_path / "several-plots", {"mrr", "hits-10", "differences", "validation", "loss"}),
    ):
        files = {path.name for path in folder.iterdir()}
        assert files == {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
        assert all(path.stat().st_size > 1000 for path in folder.iterdir())


def test_the_page_is_bounded(single_page: Path) -> None:
    assert single_page.stat().st_size < 1_000_000


def test_calibration_is_shown_once_there_is_one(copy_run: CopyRun, tmp_path: Path) -> None:
    run = RunFolder(copy_run("first"))
    calibrate_run(run)
    root = check_page(write_report([run.path], out=tmp_path / "page.html"))
    section = _find(root, "calibration")
    stored = json.loads((run.path / "results" / "calibration.json").read_text())
    text = _read_text(section)
    assert f"{100 * stored['outputs']['answer']['calibrated']['ece_top']:.2f}" in text
    numbers = [n for n in list_numbers(section) if n.source]
    assert len(numbers) >= 4 * 6
    for number in numbers:
        assert float(number.value) == look_up(number.source, {"": run.path})


def test_times_are_those_of_the_log(single_page: Path, first_run: RunFolder) -> None:
    seconds = [r["seconds"] for r in first_run.records("epoch", file="timing.jsonl")]
    numbers = {n.value for n in list_numbers(_find(read_page(single_page), "environment"))}
    assert repr(sum(seconds)) in numbers
    assert repr(float(np.median(seconds))) in numbers
