"""Looking things up, the fingerprint, and graphs that contradict themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from momok.errors import AmbiguousNameError, DataError, FeatureError, UnknownLabelError
from momok.graph import Vocabulary
from momok.graph.text_files import Finding
from tests.graph.small_graph import as_features, as_triples


def test_vocabulary():
    vocabulary = Vocabulary(("b", "a"))
    assert (len(vocabulary), vocabulary.index("a"), "b" in vocabulary) == (2, 1, True)
    assert "c" not in vocabulary
    with pytest.raises(UnknownLabelError, match="there is no label 'c'"):
        vocabulary.index("c")
    with pytest.raises(DataError, match="'b' appears twice"):
        Vocabulary(("b", "a", "b"))


def test_find_by_label_or_name(small):
    graph = replace(small, entity_names=("France", "España", "Deutschland", *("same",) * 3, "x"))
    assert graph.find_entity("Germany") == 2
    assert graph.find_entity("deutschLAND") == 2
    assert graph.find_entity("ESPAÑA") == 1
    assert graph.find_entity("<Spain>") == 1
    assert graph.find_relation("part_of") == graph.find_relation("Part of") == 2


def test_look_ups_do_not_mind_case_blanks_and_forms_of_unicode(small):
    graph = replace(small, entities=Vocabulary(("Zo\u00eb", *small.entities.labels[1:])))
    graph = replace(graph, entity_names=("Z.", *small.entity_names[1:]))
    for given in ("Zo\u00eb", "Zoe\u0308", " Zo\u00eb ", "ZOE\u0308", "z."):
        assert graph.find_entity(given) == 0
    assert graph.find_relation(" Part_Of ") == 2
    assert graph.find_relation("part  of") == 2


def test_a_number_is_a_label_where_labels_are_numbers(small):
    labels = tuple(str(10 - i) for i in range(small.num_entities))
    numbered = replace(small, entities=Vocabulary(labels))
    assert numbered.find_entity(9) == 1
    with pytest.raises(UnknownLabelError, match="no label '0'"):
        numbered.find_entity(0)  # which is no id here
    assert replace(small, entities=Vocabulary((*labels[:-1], "x"))).find_entity(5) == 5
    assert small.find_entity(np.int64(2)) == 2


def test_a_typo_gets_suggestions(small):
    with pytest.raises(
        UnknownLabelError, match="small has no entity 'Frnace'; did you mean France"
    ):
        small.find_entity("Frnace")
    with pytest.raises(UnknownLabelError, match="no relation 'border'; did you mean borders"):
        small.find_relation("border")
    with pytest.raises(UnknownLabelError, match="no entity 'qqqq'; give a label or a name"):
        small.find_entity("qqqq")


def test_a_shared_name_needs_a_label(small):
    graph = replace(small, entity_names=("Here",) * 2 + small.entity_names[2:])
    with pytest.raises(AmbiguousNameError, match=r"'here' names 2 entities .*: France, Spain"):
        graph.find_entity("here")
    assert graph.find_entity("Spain") == 1


def test_fingerprint_changes_with_what_a_model_sees(small):
    matrix, present = np.eye(7), np.ones(7, dtype=bool)
    fewer = present.copy()
    fewer[0] = False
    changed = [
        replace(small, entities=Vocabulary(("Gallia", *small.entities.labels[1:]))),
        replace(small, relations=Vocabulary(("touches", *small.relations.labels[1:]))),
        replace(small, train=small.train[::-1]),
        replace(small, valid=small.test, test=small.valid),
        replace(small, train=small.train[:-1], valid=small.train[-1:]),
        small.with_features({"text": as_features("text", matrix, present)}),
        small.with_features({"image": as_features("image", matrix, present)}),
        small.with_features({"text": as_features("text", 2 * matrix, present)}),
        small.with_features({"text": as_features("text", matrix, fewer)}),
    ]
    prints = {graph.fingerprint() for graph in (small, *changed)}
    assert len(prints) == len(changed) + 1
    assert (
        replace(small, name="other", entity_names=("n",) * 7).fingerprint() == small.fingerprint()
    )
    assert small.fingerprint() == "8420b9fc0832dc76146622db62b79f012c85fa061769e9009b5db6ce9f82013a"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"entity_names": ("one",)}, "entity_names has 1 values, expected 7"),
        ({"attributes": {"x": ()}}, "attribute 'x' has 0 values, expected 7"),
        ({"train": as_triples([(0, 3, 0)])}, "train facts have ids outside the vocabulary"),
        ({"test": as_triples([(0, 0, -1)])}, "test facts have ids outside the vocabulary"),
        ({"valid": np.zeros((2, 2), dtype=np.int64)}, "valid facts are int64"),
        ({"valid": np.zeros((2, 3))}, "valid facts are float64"),
    ],
)
def test_contradictions_are_refused(small, changes, message):
    with pytest.raises(DataError, match=message):
        replace(small, **changes)


def test_features_of_another_graph_are_refused(small):
    with pytest.raises(FeatureError, match="modality 'text' has 2 rows for 7 entities"):
        small.with_features({"text": as_features("text", np.eye(2), np.ones(2, dtype=bool))})


def test_a_graph_shows_itself_on_one_line(small):
    assert repr(small) == (
        "<MultimodalGraph 'small': 7 entities, 3 relations, 10 train, 1 valid, 2 test facts "
        "(published split), no features>"
    )
    shown = small._repr_html_()
    assert f"Graph {small.name}, {small.split} split" in shown
    assert all(f"with features {modality} " in shown for modality in small.features)
    noted = replace(small, findings=(Finding("duplicate", 2, "2 facts <twice>"),))
    assert "border-left" not in shown
    assert ">2 facts &lt;twice&gt;<" in noted._repr_html_()
    assert repr(small.relations) == "<Vocabulary of 3: 'borders', 'capital', 'part_of'>"
    assert repr(small.entities).endswith("'Germany', ...>")


def test_find_by_id_and_by_accents_written_another_way(small):
    graph = replace(small, entity_names=("France", "Espan\u0303a", *small.entity_names[2:]))
    assert graph.find_entity("ESPA\u00d1A") == graph.find_entity("espan\u0303a") == 1
    assert graph.find_entity(np.int64(2)) == 2
    with pytest.raises(UnknownLabelError, match="no id 7: small has 7 entities, from id 0"):
        graph.find_entity(7)
    with pytest.raises(UnknownLabelError, match=r"did you mean this or that\?"):
        graph.find_entity("Frnace", suggest=lambda _: ["this", "that"])


def test_titles_tell_entities_of_one_name_apart(small):
    graph = replace(small, entity_names=("Here", "here", *small.entity_names[2:]))
    assert [graph.title(entity) for entity in range(3)] == [
        "Here (France)", "here (Spain)", small.entity_names[2],
    ]  # fmt: skip
