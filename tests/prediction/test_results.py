"""Answers as frames, questions from frames, and how what answers them shows itself."""

from __future__ import annotations

import re
from dataclasses import replace

import polars as pl
import pytest

from momok.errors import DataError
from momok.html import Share
from momok.prediction import Predictor


def test_answers_as_a_frame(predictor: Predictor) -> None:
    answers = predictor.predict(head="France", relation="borders", k=4)
    frame = answers.to_frame()
    heads = [f"head_{head}" for head in predictor.heads]
    shares = [f"share_{part}" for part in predictor.parts]
    first = ["rank", "label", "name", "score", "known"]
    assert frame.columns == [*first, *heads, *shares, "probability"]
    assert frame.select(first).rows() == [
        (p.rank, p.label, p.name, p.score, p.known) for p in answers
    ]
    assert frame["head_image"].to_list() == [p.heads["image"] for p in answers]
    assert frame["share_text"].to_list() == [p.shares["text"] for p in answers]
    none = predictor.predict(head="France", relation="borders", k=1)
    none.clear()
    assert none.to_frame().schema == frame.schema


def test_questions_and_facts_from_a_frame(predictor: Predictor) -> None:
    triples = [("France", "borders", None), (None, "borders", "Spain")]
    columns = dict(zip(("head", "relation", "tail"), zip(*triples, strict=True), strict=True))
    expected = [answers.to_json() for answers in predictor.predict_many(triples, 3)]
    for frame in (pl.DataFrame(columns), pytest.importorskip("pandas").DataFrame(columns)):
        assert [answers.to_json() for answers in predictor.predict_many(frame, 3)] == expected
        assert predictor.predict_many(frame[:0], 3) == []
    facts = predictor.graph.to_frame("test")[:5]
    ids = predictor.score_facts(predictor.graph.test[:5])
    assert predictor.score_facts(facts).answer.tolist() == ids.answer.tolist()
    with pytest.raises(DataError, match="the frame: has 2 columns; expected three"):
        predictor.score_facts(facts.drop("tail"))


def test_how_they_show_themselves(predictor: Predictor) -> None:
    assert repr(predictor) == (
        f"<Predictor of {str(predictor.run.path)!r}: graph world (2,172 entities, 21 relations); "
        f"heads structure, image, text, joint; modalities structure, image, text; calibrated no>"
    )
    assert "2,172 entities" in predictor._repr_html_()
    answers = predictor.predict(head="France", relation="borders", k=2)
    shown = answers._repr_html_()
    assert "France — borders → ?" in shown
    assert all(f">{answer.title}<" in shown for answer in answers)
    assert ">score: what the heads structure, image, text, joint say together; %" in shown
    first = answers[0]
    cells = re.findall(r">([^<]*)</td>", shown)[: 4 + len(first.shares)]
    shares = [str(Share(share, first.present[part])) for part, share in first.shares.items()]
    flag = f"✓ {first.known}" if first.known else ""
    assert cells == ["1", first.title, f"{first.score:.4f}", *shares, flag]
    rare = predictor.predict(head="Paris", relation="city in", k=300, known="hide")
    assert any(not p.present["image"] for p in rare)
    assert "(%): the answer has no image of its own" in rare._repr_html_()
    rare.clear()
    assert ">No answers: every candidate is a known fact" in rare._repr_html_()
    explanation = predictor.explain("France", "borders", "Spain")
    known = f"{explanation.rank:,} of 2,164 tails, known in {explanation.known}>"
    assert repr(explanation).startswith("<Explanation of France — borders → Spain: 0.")
    assert repr(explanation).endswith(f", rank {known}")
    shown = explanation._repr_html_()
    assert all(f">{part.name}<" in shown for part in (*explanation.heads, *explanation.modalities))
    assert str(explanation.head_facts[0]) in shown
    assert shown.count("data:image/webp;base64,") == 2  # two flags
    learned = predictor.explain("France", "borders", "Germany")
    assert learned.known == "train"
    assert learned.to_dict() == learned.to_json()
    assert "The model learned from this fact: it is known in train." in learned._repr_html_()
    lost = replace(explanation, source=replace(explanation.source, remark="<moved>"))
    assert ">&lt;moved&gt;<" in lost._repr_html_()
