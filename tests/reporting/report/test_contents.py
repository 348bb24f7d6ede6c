"""Runs that lack something still get a page that says so; damaged ones are refused in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element

import pytest
from safetensors.numpy import load_file, save_file

from momok.errors import RunError, StorageError
from momok.reporting.report import write_report
from momok.storage import unseal
from momok.training import RunFolder
from tests.reporting.report.pages import check_page
from tests.training.small_training import drop_checksums

CopyRun = Callable[[str], Path]


def _write(run: Path) -> tuple[Element, set[str], str]:
    root = check_page(write_report([run], out=run.parent / "page.html"))
    sections = {e.attrib["id"] for e in root.iter("section")}
    return root, sections, " ".join("".join(root.itertext()).split())


def _change(file: Path, **values: str) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_a_run_that_was_interrupted(copy_run: CopyRun) -> None:
    run = copy_run("first")
    shutil.rmtree(run / "results")
    RunFolder(run).set_state("interrupted")
    _, sections, text = _write(run)
    assert "This run was interrupted: 3 of at most 3 epochs are done" in text
    assert "validation numbers" in text
    assert "MRR on valid" in text
    assert "Epochs done 3 of at most 3" in text
    assert f"momok resume {run}" in text
    assert {"training", "experts", "data", "configuration"} <= sections
    assert not sections & {"results", "relations", "predictions"}


def test_epochs_that_were_done_again_count_once(copy_run: CopyRun) -> None:
    run = copy_run("first")
    drop_checksums(run)
    with (run / "timing.jsonl").open("a") as log:
        for epoch in (2, 3):
            log.write(f'{{"kind": "epoch", "epoch": {epoch}, "batches": 1, "seconds": 9.0}}\n')
    _, _, text = _write(run)
    assert "epochs done3 " in text
    assert "an epoch, slowest9.0 s" in text


def test_an_unfinished_run_of_the_published_protocol(copy_run: CopyRun) -> None:
    run = copy_run("first")
    shutil.rmtree(run / "results")
    drop_checksums(run)
    config = json.loads((run / "config.json").read_text())
    config["evaluation"]["protocol"] = "published"
    (run / "config.json").write_text(json.dumps(config))
    log = (run / "metrics.jsonl").read_text().replace('"kind": "valid"', '"kind": "test"')
    (run / "metrics.jsonl").write_text(log)
    RunFolder(run).set_state("trained")
    _, _, text = _write(run)
    assert "This run is trained and not tested yet: 3 of" in text
    assert "These are test numbers of epoch" in text
    assert "they chose the checkpoint and are no honest result" in text


def test_a_run_before_its_first_epoch(copy_run: CopyRun) -> None:
    run = copy_run("first")
    for folder in ("results", "checkpoints", "plots"):
        shutil.rmtree(run / folder, ignore_errors=True)
    for log in ("metrics.jsonl", "timing.jsonl"):
        (run / log).write_text("")
    RunFolder(run).set_state("training")
    _, sections, text = _write(run)
    assert "0 of at most 3 epochs" in text
    assert "No epoch is finished yet" in text
    assert "experts" not in sections


def test_without_ranks_timing_checkpoint_and_source(copy_run: CopyRun) -> None:
    run = copy_run("first")
    (run / "results" / "test-ranks.safetensors").unlink()
    (run / "timing.jsonl").unlink()
    drop_checksums(run)
    _change(run / "data.json", source=str(run / "gone"))
    _, sections, text = _write(run)
    assert "Nothing is said of single queries: results/test-ranks.safetensors is not there" in text
    assert "95% interval" not in text.partition("How to read this")[0]
    assert "Nothing is said about time: timing.jsonl is not there" in text
    assert {"results", "experts"} <= sections
    shutil.rmtree(run / "checkpoints")
    _, sections, text = _write(run)
    assert "what was learned: checkpoints/best.safetensors is not there" in text
    assert "experts" not in sections
    assert "results" in sections


def test_pictures_whose_folder_is_gone(copy_run: CopyRun) -> None:
    run = copy_run("first")
    drop_checksums(run)
    _change(run / "data.json", source=str(run / "gone"))
    root, _, text = _write(run)
    assert "Without pictures: the graph of this run cannot be read" in text
    assert not list(root.iter("img"))


def test_a_run_without_features(copy_run: CopyRun) -> None:
    run = copy_run("narrow")
    drop_checksums(run)
    data = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps(data | {"features": {}}))
    _, _, text = _write(run)
    assert "Features by modality" not in text


def test_the_published_protocol_is_loud(copy_run: CopyRun) -> None:
    run = copy_run("first")
    drop_checksums(run)
    config = json.loads((run / "config.json").read_text())
    config["evaluation"]["protocol"] = "published"
    (run / "config.json").write_text(json.dumps(config))
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    changed = [r | {"kind": "test"} if r["kind"] == "valid" else r for r in records]
    (run / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in changed))
    for name in ("test.json", "test-ranks.safetensors"):
        path = run / "results" / name
        stem, _, ending = name.partition(".")
        other = f"{stem.replace('test', 'test-published')}.{ending}"
        path.rename(run / "results" / other)
    result = run / "results" / "test-published.json"
    value = unseal(json.loads(result.read_text())) | {"protocol": "published"}
    result.write_text(json.dumps(value))
    _, _, text = _write(run)
    assert "Caution: Published protocol" in text
    assert "published protocol: selected on test" in text
    assert "95% interval" not in text.partition("How to read this")[0]


def test_ranks_that_are_not_of_this_result_are_refused(copy_run: CopyRun) -> None:
    run = copy_run("first")
    path = run / "results" / "test-ranks.safetensors"
    arrays = load_file(path)
    save_file(arrays | {"optimistic/answer": arrays["optimistic/answer"] * 0 + 1}, path)
    with pytest.raises(RunError, match=r"not what was written beside test\.json"):
        write_report([run], out=run.parent / "page.html")
    result = run / "results" / "test.json"  # as of before there were checksums
    value = unseal(json.loads(result.read_text()))
    del value["ranks"]
    result.write_text(json.dumps(value))
    with pytest.raises(RunError, match=r"not those of test\.json"):
        write_report([run], out=run.parent / "page.html")
    save_file(arrays | {"facts": arrays["facts"][::-1].copy()}, path)
    with pytest.raises(RunError, match="not the test facts"):
        write_report([run], out=run.parent / "page.html")
    path.write_bytes(b"broken")
    with pytest.raises(RunError, match=r"cannot be read.*momok evaluate"):
        write_report([run], out=run.parent / "page.html")
    assert not (run.parent / "page.html").exists()


def test_what_cannot_be_written_leaves_the_old_page(copy_run: CopyRun, tmp_path: Path) -> None:
    run = copy_run("first")
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(StorageError):
        write_report([run], out=blocked / "page.html")
    with pytest.raises(RunError, match="is a folder"):
        write_report([run], out=tmp_path)
    with pytest.raises(RunError, match="at least one run"):
        write_report([])
    with pytest.raises(RunError, match="no such run folder"):
        write_report([tmp_path / "nothing"])
