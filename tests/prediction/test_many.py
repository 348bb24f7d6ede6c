"""Tables of questions and facts: the answers of the predictor, one row after the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from momok.errors import ConfigError, FormatError, UnknownLabelError
from momok.graph.candidates import Side
from momok.graph.sources.fact_tables import read_questions
from momok.prediction import Predictor
from momok.prediction.many import Row, answer_rows

QUESTIONS = [
    ("France", "borders", None),
    (None, "capital", "city:FR/Paris"),
    ("city:FR/Lyon", None, "France"),
]
FACTS = [("France", "borders", "Germany"), ("France", "borders", "Japan")]


def test_questions_get_the_answers_of_the_predictor(predictor: Predictor) -> None:
    frame = answer_rows(predictor, QUESTIONS, 3, known="hide")
    tails = predictor.predict(head="France", relation="borders", k=3, known="hide")
    heads = predictor.predict(tail="city:FR/Paris", relation="capital", k=3, known="hide")
    kinds = predictor.predict_relations("city:FR/Lyon", "France", k=3, known="hide")
    assert frame["row"].to_list() == [1] * 3 + [2] * 3 + [3] * 3
    assert frame["asked"].to_list() == ["tail"] * 3 + ["head"] * 3 + ["relation"] * 3
    assert frame["tail"][:3].to_list() == [p.label for p in tails]
    assert frame["head"][3:6].to_list() == [p.label for p in heads]
    assert frame["relation"][6:].to_list() == [p.label for p in kinds]
    assert frame["score"].to_list() == pytest.approx(
        [p.score for found in (tails, heads, kinds) for p in found]
    )
    assert frame["head"][0] == "country:FR"


def test_facts_get_both_answers(predictor: Predictor) -> None:
    frame = answer_rows(predictor, FACTS)
    sides: tuple[Side, ...] = ("tail", "head")
    for side in sides:
        expected = predictor.score_facts(FACTS, asked=side).answer
        assert frame[f"{side}_answer"].to_list() == pytest.approx(expected.tolist(), rel=1e-5)
    assert frame["score"].to_list() == [
        min(pair) for pair in zip(frame["tail_answer"], frame["head_answer"], strict=True)
    ]
    assert frame["known"].to_list() == ["train", None]


def test_relations_are_of_no_kind(predictor: Predictor) -> None:
    for options in ({"plausible": True}, {"among": "city"}):
        with pytest.raises(ConfigError, match="there are rows that ask for a relation"):
            answer_rows(predictor, QUESTIONS, **options)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"row 1: \('France', 'borders'\): expected"):
        answer_rows(predictor, [("France", "borders")])  # type: ignore[list-item]
    with pytest.raises(UnknownLabelError, match=r"1\.5: expected a label, a name or an id"):
        answer_rows(predictor, [(1.5, "borders", None)])  # type: ignore[list-item]


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("rows", [QUESTIONS, FACTS], ids=["questions", "facts"])
def test_a_cluster_gives_the_same_table(
    predictor: Predictor, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("momok.prediction.many._BLOCK", 1)
    here = answer_rows(predictor, rows, 3)
    assert_frame_equal(answer_rows(predictor, rows, 3, ray="local"), here)
    assert here["row"].unique(maintain_order=True).to_list() == list(range(1, len(rows) + 1))


def test_nothing_to_answer(predictor: Predictor) -> None:
    assert len(answer_rows(predictor, [])) == 0


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([("France", None, None)], ConfigError, r"row 1: France \| \? \| \?: 2 of head"),
        ([QUESTIONS[0], ("a", "b", "c")], ConfigError, "row 2: .* questions and complete facts"),
        ([QUESTIONS[0], ("Frence", "borders", None)], UnknownLabelError, "row 2: .*'Frence'"),
        ([("France", "bordrs", None)], UnknownLabelError, "row 1: .*'bordrs'"),
    ],
)
def test_wrong_rows(
    predictor: Predictor, rows: list[tuple[str, str, str]], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        answer_rows(predictor, rows)


def test_messages_have_the_line_of_the_file(predictor: Predictor, tmp_path: Path) -> None:
    (tmp_path / "q.csv").write_text("head,relation\nFrance,borders\n\n\nFrence,borders\n")
    rows, places = read_questions(tmp_path / "q.csv")
    with pytest.raises(UnknownLabelError, match=r"^q\.csv:5: .*'Frence'"):
        answer_rows(predictor, rows, places=places)


@pytest.mark.parametrize(
    ("name", "content", "expected", "lines"),
    [
        (
            "a.csv",
            "head,relation,tail\n\nx,r,\n\n,r, y \n",
            [("x", "r", None), (None, "r", "y")],
            [3, 5],
        ),
        ("b.tsv", "x\tr\ty\n", [("x", "r", "y")], [1]),
        ("c.csv", "tail,head\ny,x\n", [("x", None, "y")], [2]),
        ("d.csv", "predicate,subject,note\nr,x,n\n", [("x", "r", None)], [2]),
        ("e.jsonl", '{"head": "x", "relation": "r", "tail": null}\n', [("x", "r", None)], [1]),
    ],
)
def test_tables_of_questions(
    tmp_path: Path,
    name: str,
    content: str,
    expected: list[tuple[str | None, ...]],
    lines: list[int],
) -> None:
    (tmp_path / name).write_text(content)
    assert read_questions(tmp_path / name) == (expected, [f"{name}:{line}" for line in lines])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b,c,d\n1,2,3,4\n", "4 columns, .* expected a header that calls two or three of them"),
        ("a,b\n1,2\n", "2 columns"),
        ("head,relation,tail\n", "has a header and no row"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "q.csv").write_text(content)
    with pytest.raises(FormatError, match=message):
        read_questions(tmp_path / "q.csv")
