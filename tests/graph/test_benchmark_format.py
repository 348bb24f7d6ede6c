"""The published benchmark format: what it may look like, and what is said about its faults."""

from __future__ import annotations

import re

import numpy as np
import pytest

from momok.errors import DataError, FormatError, MomokError
from momok.graph import load_graph, read_benchmark_folder
from momok.graph.names import make_readable
from tests.graph.small_graph import ENTITIES, RELATIONS, TEST, TRAIN, VALID


def find(graph, kind):
    return next(finding for finding in graph.findings if finding.kind == kind)


def test_reads_ids_and_facts(benchmark_folder):
    graph = read_benchmark_folder(benchmark_folder())
    assert graph.entities.labels == ENTITIES
    assert graph.relations.labels == RELATIONS
    assert graph.train.tolist() == [list(fact) for fact in TRAIN]
    assert graph.valid.tolist() == [list(fact) for fact in VALID]
    assert graph.test.tolist() == [list(fact) for fact in TEST]
    assert (graph.name, graph.split, graph.split_notes) == ("small", "published", ())
    assert graph.relation_names == ("borders", "capital", "part of")
    assert graph.train.dtype == np.int64


@pytest.mark.parametrize(
    "line",
    [
        "France borders Spain .",
        "France borders Spain",
        "France\tborders\tSpain",
        "France\tborders\tSpain .",
        "France\tborders\tSpain\t.",
        "<France> <borders> <Spain> .",
        "  France   borders  Spain  . ",
        "France borders Spain .\r",
        "\ufeffFrance borders Spain .",
    ],
)
def test_spellings_of_a_line(benchmark_folder, line):
    graph = read_benchmark_folder(benchmark_folder(train=line + "\n"))
    assert graph.train.tolist() == [[0, 0, 1]]
    assert not [f for f in graph.findings if f.kind != "unseen-entity"]


def test_no_line_feed_at_the_end_and_blank_lines(benchmark_folder):
    train = "\nFrance borders Spain .\n \nParis part_of Europe"
    graph = read_benchmark_folder(benchmark_folder(train=train))
    assert graph.train.tolist() == [[0, 0, 1], [3, 2, 6]]


@pytest.mark.parametrize("odd", [f"a{c}b" for c in "\u00b7\u00a0\u2028\u0085\u3000\x0b\x1c"])
@pytest.mark.parametrize("blank", [" ", "\t"])
def test_only_blank_and_tab_separate(benchmark_folder, odd, blank):
    graph = read_benchmark_folder(
        benchmark_folder(
            entity2id=f"{odd}{blank}0\nB{blank}1\n",
            relation2id=f"r{blank}0\n",
            train=blank.join([odd, "r", "B"]) + " .\n",
            valid=blank.join(["B", "r", odd]) + " .\n",
            test=blank.join(["B", "r", "B"]) + " .\n",
        )
    )
    assert graph.entities.labels == (odd, "B")
    assert graph.train.tolist() == [[0, 0, 1]]
    assert graph.valid.tolist() == [[1, 0, 0]]


def test_labels_with_blanks_between_tabs(benchmark_folder):
    graph = read_benchmark_folder(
        benchmark_folder(
            entity2id="New York\t0\nThe Sea\t1\n",
            relation2id="lies at\t0\n",
            train="New York\tlies at\tThe Sea\n",
            valid="The Sea\tlies at\tNew York\n",
            test="The Sea\tlies at\tThe Sea .\n",
        )
    )
    assert graph.train.tolist() == [[0, 0, 1]]
    assert graph.test.tolist() == [[1, 0, 1]]


def test_brackets_are_no_part_of_a_label(benchmark_folder):
    band = "<http://dbpedia.org/resource/AC/DC>"
    bar = "<http://dbpedia.org/resource/Caf%C3%A9_%26_Bar>"
    near = "<http://dbpedia.org/ontology/near>"
    graph = read_benchmark_folder(
        benchmark_folder(
            entity2id=f"{band} 0\n{bar} 1\n",
            relation2id=f"{near} 0\n",
            train=f"{band} {near} {bar} .\n",
            valid=f"{band} {near} {band} .\n",
            test=f"{bar[1:-1]} {near[1:-1]} {band[1:-1]} .\n",
        )
    )
    assert graph.entities.labels[0] == "http://dbpedia.org/resource/AC/DC"
    assert graph.entity_names == ("AC/DC", "Café & Bar")
    assert graph.relation_names == ("near",)
    assert graph.test.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("http://www.w3.org/2000/01/rdf-schema#seeAlso", "seeAlso"),
        ("http://www.wikidata.org/entity/Q370252", "Q370252"),
        ("Count_Max_(1991_film)", "Count Max (1991 film)"),
        ("http://dbpedia.org/resource/A%09B", "A B"),
        ("http://example.org/", "example.org"),
        ("100%25_Wolf", "100%25 Wolf"),
        ("_", "_"),
        ("萨里奥诺维奇·斯大林", "萨里奥诺维奇·斯大林"),
    ],
)
def test_readable_names(label, name):
    assert make_readable(label) == name


def test_names_of_the_names_file(benchmark_folder):
    names = "France\tLa France\nSpain\t\nAtlantis\tLost\n"
    graph = read_benchmark_folder(benchmark_folder(**{"entity_names.tsv": names}))
    assert graph.entity_names[:3] == ("La France", "Spain", "Germany")
    assert find(graph, "unknown-label").examples == ("entity_names.tsv:3: no entity 'Atlantis'",)


def test_faults_are_counted_with_their_places(benchmark_folder):
    train = (
        "France borders Spain .\n"
        "France borders\n"
        "France borders Spain .\n"
        "Frence borders Spain .\n"
        "France capitol Paris .\n"
        "Germany part_of Europe .\n"
        "a b c d e\n"
    )
    graph = read_benchmark_folder(benchmark_folder(train=train))
    assert graph.train.tolist() == [[0, 0, 1], [2, 2, 6]]
    malformed, unknown = find(graph, "malformed"), find(graph, "unknown-label")
    assert malformed.count == 2
    places = [example.split(" ")[0] for example in malformed.examples]
    assert places == ["train.txt:2:", "train.txt:7:"]
    assert unknown.count == 2
    assert unknown.examples == (
        "train.txt:4: unknown entity 'Frence'; did you mean France?",
        "train.txt:5: unknown relation 'capitol'; did you mean capital?",
    )
    assert find(graph, "duplicate").examples == ("train.txt:3: the fact of line 1",)
    overlap = find(graph, "overlap")
    assert (overlap.count, overlap.examples) == (1, ("test.txt:1: the fact of train.txt:6",))
    unseen = [f for f in graph.findings if f.kind == "unseen-entity"]
    assert [(f.count, f.examples) for f in unseen] == [(1, ("test.txt:2",))]


def test_duplicates_of_valid_and_test_are_kept_once(benchmark_folder):
    texts = {"valid": "Germany borders France .\n" * 3, "test": "Berlin part_of Europe .\n" * 2}
    graph = read_benchmark_folder(benchmark_folder(**texts))
    assert len(graph.valid) == len(graph.test) == 1
    assert [f.count for f in graph.findings if f.kind == "duplicate"] == [2, 1]


def test_examples_are_bounded(benchmark_folder):
    graph = read_benchmark_folder(benchmark_folder(train="France borders Spain .\n" + "x\n" * 1000))
    assert find(graph, "malformed").count == 1000
    assert len(find(graph, "malformed").examples) == 5


GOOD = "France borders Spain .\n"
MALFORMED = [
    ({"train": None}, "train.txt: the file is missing"),
    ({"relation2id": None}, "relation2id.txt: the file is missing"),
    ({"train": ""}, "train.txt: the train split is empty"),
    ({"valid": "\n\n"}, "valid.txt: the valid split is empty"),
    ({"test": ""}, "test.txt: the test split is empty"),
    ({"test": "Atlantis borders Spain .\n"}, "empty.*test.txt:1: unknown entity 'Atlantis'"),
    ({"entity2id": ""}, "entity2id.txt: lists nothing"),
    ({"entity2id": "A 0\nC 2\n"}, "entity2id.txt: lists 2 labels and none has the id 1"),
    ({"entity2id": "A 0\nB 0\n"}, "entity2id.txt:2: the id 0 is that of another label"),
    ({"entity2id": "A 0\n\n<A> 1\n"}, "entity2id.txt:3: 'A' has an id already, on line 1"),
    ({"entity2id": "A 0\nB\n"}, "entity2id.txt:2: expected a label and its id, found 'B'"),
    ({"entity2id": "A 0\nB b\n"}, "entity2id.txt:2: expected a label and its id"),
    ({"entity2id": "A 0\nB -1\n"}, "entity2id.txt:2: expected a label and its id"),
    ({"entity2id": "A 0\nB \u00b2\n"}, "entity2id.txt:2: expected a label and its id"),
    ({"train": GOOD.encode() + b"Fr\xe9nce borders"}, "train.txt:2: byte 0xe9 is not UTF-8"),
]
UNUSABLE_LINES = [
    ({"train": GOOD + "France Spain\n"}, "train.txt:2: 2 labels, expected head"),
    ({"train": GOOD + "Atlantis borders Spain"}, "train.txt:2: unknown entity 'Atlantis'"),
    ({"test": GOOD + "Spain bordres France"}, "test.txt:2: unknown relation.*mean borders"),
    ({"entity_names.tsv": "France\tF\nAtlantis\tA\n"}, "entity_names.tsv:2: no entity"),
]


@pytest.mark.parametrize(("texts", "message"), MALFORMED)
def test_malformed_input_is_one_clear_line(benchmark_folder, texts, message):
    folder = benchmark_folder(**texts)
    with pytest.raises(DataError, match=message) as caught:
        load_graph(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("texts", "message"), UNUSABLE_LINES)
def test_strict_stops_at_lines_that_are_otherwise_findings(benchmark_folder, texts, message):
    folder = benchmark_folder(**texts)
    assert load_graph(folder).findings
    with pytest.raises(FormatError, match=message) as caught:
        load_graph(folder, strict=True)
    assert str(folder) in str(caught.value)


def test_strict_accepts_duplicates_and_overlaps(benchmark_folder):
    facts = TRAIN + TRAIN[:2] + TEST[1:]
    train = "".join(f"{ENTITIES[h]} {RELATIONS[r]} {ENTITIES[t]}\n" for h, r, t in facts)
    assert len(load_graph(benchmark_folder(train=train), strict=True).train) == len(TRAIN)


def test_a_folder_in_place_of_a_file(benchmark_folder):
    folder = benchmark_folder(train=None)
    (folder / "train.txt").mkdir()
    with pytest.raises(MomokError, match=re.escape(f"{folder / 'train.txt'}: cannot be read")):
        load_graph(folder)
