"""What calibration counts, against plain loops; its file in a run, whole, damaged and outdated."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import RunError
from momok.prediction import Predictor
from momok.prediction.calibration.counts import (
    BIN_LOGITS,
    Counts,
    HeldOut,
    count_questions,
)
from momok.prediction.calibration.fit import calibrate_run
from momok.prediction.calibration.record import Calibration, load_calibration
from momok.prediction.calibration_facts import count_facts
from momok.prediction.scorer import Scorer
from momok.training import RunFolder
from tests.prediction.vector_scorer import VectorScorer, draw_graph

Cell = tuple[float, bool]


def question_cells(
    predictor: VectorScorer, scores: np.ndarray, held: np.ndarray, known: np.ndarray
) -> dict[tuple[int, int], list[Cell]]:
    """Per question that held-out facts answer, all candidates not known: (logit, is true)."""
    R, N = predictor.graph.num_relations, predictor.graph.num_entities

    def both(facts: np.ndarray) -> set[tuple[int, int, int]]:
        return {(r, h, t) for h, r, t in facts.tolist()} | {
            (r + R, t, h) for h, r, t in facts.tolist()
        }

    truth, hidden = both(held), both(known)
    return {
        (r, e): [
            (float(scores[r, e, c]), (r, e, c) in truth)
            for c in range(N)
            if (r, e, c) not in hidden and not np.isnan(scores[r, e, c])
        ]
        for r, e, _ in truth
    }


def histogram(cells: list[Cell], wanted: bool) -> np.ndarray:
    width = BIN_LOGITS[1] - BIN_LOGITS[0]
    counts = np.zeros(len(BIN_LOGITS))
    for logit, label in cells:
        if label == wanted:
            counts[int(np.clip((logit + 30) // width, 0, len(counts) - 1))] += 1
    return counts


def same_up_to_a_bin(mine: np.ndarray, theirs: np.ndarray) -> None:
    """Equal but for values that float32 puts over the border of a bin.

    From a logit of 12 on, float32 probabilities are too coarse for the bins: they count as one.
    """
    difference = (np.cumsum(mine) - np.cumsum(theirs))[BIN_LOGITS < 12]
    assert mine.sum() == theirs.sum()
    assert np.abs(difference).max() <= 1
    assert np.abs(difference).sum() <= 3


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), folds=st.integers(1, 5), abstaining=st.booleans())
def test_all_candidates_of_questions_with_held_out_answers_are_counted(
    seed: int, folds: int, abstaining: bool
) -> None:
    """But those on which a head abstains, for that head."""
    graph = draw_graph(seed)
    predictor = VectorScorer(graph, seed, abstaining=abstaining)
    held = HeldOut.without_known(graph.valid, graph.train, folds, 0)
    result = count_questions(cast(Scorer, predictor), held)
    answers = predictor.answers()
    scores = {head: predictor.logits(head) for head in predictor.heads} | {
        "answer": np.log(answers) - np.log1p(-answers)
    }
    for name, values in scores.items():
        by_question = question_cells(predictor, values, graph.valid, graph.train)
        cells = [cell for question in by_question.values() for cell in question]
        counts = result.candidates[name]
        assert counts.true.shape == (folds, len(BIN_LOGITS))
        same_up_to_a_bin(counts.true.sum(axis=0), histogram(cells, True))
        same_up_to_a_bin(counts.false.sum(axis=0), histogram(cells, False))
        best = [max(question) for question in by_question.values() if question]
        same_up_to_a_bin(result.best[name].true[0], histogram(best, True))
        same_up_to_a_bin(result.best[name].false[0], histogram(best, False))
        assert result.questions == len(by_question)


def test_blocks_of_candidates_and_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = draw_graph(1, entities=30, facts=200)
    predictor = cast(Scorer, VectorScorer(graph, 1))
    held = HeldOut.without_known(graph.valid, graph.train, 3, 0)

    def count() -> list[Counts]:
        questions, (facts, _) = (
            count_questions(predictor, held),
            count_facts(predictor, held, held),
        )
        outputs = *questions.candidates.values(), *questions.best.values()
        return [*outputs, facts.every, facts.plausible]

    whole = count()
    monkeypatch.setattr("momok.prediction.calibration.counts._MAX_CELLS", 40)
    for before, after in zip(whole, count(), strict=True):
        same_up_to_a_bin(before.true.sum(axis=0), after.true.sum(axis=0))
        same_up_to_a_bin(before.false.sum(axis=0), after.false.sum(axis=0))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), abstaining=st.booleans())
def test_all_facts_not_in_train_are_counted(seed: int, abstaining: bool) -> None:
    graph = draw_graph(seed, facts=60)
    predictor = VectorScorer(graph, seed, abstaining=abstaining)
    known = np.concatenate([graph.train, graph.valid])
    valid = HeldOut.without_known(graph.valid, graph.train, 3, 0)
    test = HeldOut.without_known(graph.test, known, 1, 0)
    results = count_facts(cast(Scorer, predictor), valid, test)
    train = graph.train.tolist()
    for counts, held, hidden in zip(results, (valid, test), (graph.train, known), strict=True):
        truth, out = ({tuple(f) for f in part.tolist()} for part in (held.facts, hidden))
        every, plausible = [], []
        for relation in range(graph.num_relations):
            scores = predictor.fact_scores(relation)
            heads, tails = ({f[side] for f in train if f[1] == relation} for side in (0, 2))
            loops = any(h == t for h, r, t in train if r == relation)
            for head in range(graph.num_entities):
                for tail in range(graph.num_entities):
                    fact = head, relation, tail
                    if fact in out:
                        continue
                    p = scores[head, tail]
                    every.append((float(np.log(p) - np.log1p(-p)), fact in truth))
                    if head in heads and tail in tails and (loops or head != tail):
                        plausible.append(every[-1])
        for found, cells in ((counts.every, every), (counts.plausible, plausible)):
            same_up_to_a_bin(found.true.sum(axis=0), histogram(cells, True))
            same_up_to_a_bin(found.false.sum(axis=0), histogram(cells, False))


def test_a_sample_of_heads_stands_for_all() -> None:
    graph = draw_graph(5, entities=300, relations=1, facts=80)
    predictor = cast(Scorer, VectorScorer(graph, 5))
    held = HeldOut.without_known(graph.valid, graph.train, 2, 0)
    known = np.concatenate([graph.train, graph.valid])
    other = HeldOut.without_known(graph.test, known, 1, 0)
    whole = count_facts(predictor, held, other)
    part = count_facts(predictor, held, other, cells=300 * 60)
    for both, facts in zip(zip(whole, part, strict=True), (graph.valid, graph.test), strict=True):
        every, sample = (counts.every for counts in both)
        assert sample.true.sum() == every.true.sum() == len(facts)
        assert sample.false.sum() == pytest.approx(every.false.sum(), rel=0.01)
        for bins in np.array_split(np.arange(len(BIN_LOGITS)), 64):
            wanted = every.false.sum(axis=0)[bins].sum()
            if wanted > 2000:
                assert sample.false.sum(axis=0)[bins].sum() == pytest.approx(wanted, rel=0.25)


def test_facts_that_are_known_too_are_not_held_out() -> None:
    facts = np.array([(0, 0, 1), (1, 0, 2), (2, 1, 0)])
    held = HeldOut.without_known(facts, facts[1:2], 2, 0)
    assert held.facts.tolist() == [[0, 0, 1], [2, 1, 0]]
    assert len(HeldOut.without_known(facts[:0], facts, 2, 0).facts) == 0


# -- in a run folder -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def calibrated(small_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("calibrated") / "run"
    shutil.copytree(small_run.path, folder)
    calibrate_run(folder)
    return RunFolder(folder)


@pytest.fixture
def run(calibrated: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy to damage."""
    return RunFolder(Path(shutil.copytree(calibrated.path, tmp_path / "run")))


def change(run: RunFolder, **values: Any) -> None:
    path = run.path / "results" / "calibration.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_nothing_of_test_enters_the_maps(calibrated: RunFolder, tmp_path: Path) -> None:
    """With other test facts the maps are the same, and only the report differs."""
    copy = Path(shutil.copytree(calibrated.path, tmp_path / "run"))
    path = copy / "graph" / "test.tsv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 3]))
    before, after = load_calibration(calibrated), calibrate_run(copy)
    assert before is not None
    for name, output in before.outputs.items():
        p = np.linspace(0.001, 0.999, 50)
        assert after.apply(name, p) == pytest.approx(before.apply(name, p), rel=1e-6)
        assert after.outputs[name].choices == pytest.approx(output.choices)
        assert after.outputs[name].calibrated != output.calibrated


def test_the_file_gives_back_what_was_fitted(calibrated: RunFolder) -> None:
    read = load_calibration(calibrated)
    assert read is not None
    assert read == Calibration.from_json(json.loads(json.dumps(read.to_json())))
    heads = {"structure", "image", "text", "joint"}
    assert set(read.outputs) == heads | {"answer", "fact", "plausible_fact"}
    for output in read.outputs.values():
        assert output.choices[output.map.method] == min(output.choices.values())
        assert output.raw is not None
        assert output.calibrated is not None
    assert read.about["valid"]["facts"] == len(calibrated.load_graph().valid)


def test_predictions_carry_calibrated_probabilities(calibrated: RunFolder) -> None:
    predictor = Predictor(calibrated)
    calibration = predictor.calibration
    assert calibration is not None
    answers = predictor.predict(head="France", relation="borders", k=50)
    probabilities = [p.probability for p in answers]
    assert probabilities == pytest.approx(calibration.apply("answer", [p.score for p in answers]))
    assert probabilities == sorted(probabilities, reverse=True)  # type: ignore[type-var]
    first = answers[0]
    assert first.head_probabilities == {
        head: pytest.approx(float(calibration.apply(head, p))) for head, p in first.heads.items()
    }
    scores = predictor.score_facts([("France", "borders", first.label)])
    assert scores.probability is not None
    assert float(scores.probability[0]) == pytest.approx(first.probability)
    plain = Predictor(calibrated, calibrated=False)
    assert plain.calibration is None
    assert plain.predict(head="France", relation="borders")[0].probability is None
    assert plain.score_facts([("France", "borders", "Spain")]).probability is None


def test_without_a_calibration_there_is_none(small_run: RunFolder) -> None:
    assert load_calibration(small_run) is None
    assert Predictor(small_run).calibration is None


def test_the_calibration_of_another_checkpoint_is_not_used(run: RunFolder) -> None:
    change(run, selected={"epoch": 99, "mrr": 0.9, "split": "valid"})
    assert Predictor(run).calibration is None
    calibrate_run(run)
    assert Predictor(run).calibration is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "expected a JSON object"),
        ('{"format": "momok-calibration", "version": 2}', "expected 'momok-calibration' version 1"),
        ('{"format": "momok-calibration", "version": 1}', "not a calibration"),
    ],
)
def test_damaged_files_are_told_in_one_line(run: RunFolder, content: str, message: str) -> None:
    path = run.path / "results" / "calibration.json"
    path.write_text(content)
    with pytest.raises(RunError, match=message) as error:
        Predictor(run)
    assert str(path) in str(error.value)
    calibrate_run(run)  # makes it again, whatever was there
    assert Predictor(run).calibration is not None


def test_a_missing_output_is_told(run: RunFolder) -> None:
    path = run.path / "results" / "calibration.json"
    value = json.loads(path.read_text())
    del value["outputs"]["joint"]
    path.write_text(json.dumps(value))
    with pytest.raises(RunError, match=r"no output 'joint'; momok calibrate"):
        Predictor(run)
