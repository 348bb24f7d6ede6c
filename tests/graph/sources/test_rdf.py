"""RDF in every format: what becomes a fact, a name, a text, a picture, a type or a number."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyoxigraph as ox
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import ConfigError, DataError, FormatError
from momok.graph.sources import RawGraph, rdf
from momok.graph.sources.rdf import guess_format, read_rdf, split_terms
from momok.graph.sources.rdf_collect import RdfOptions, rank_languages, unescape

E = "http://example.org/"
XSD = "http://www.w3.org/2001/XMLSchema#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"

TURTLE = """
@prefix : <http://example.org/> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix schema: <http://schema.org/> .
@prefix foaf: <http://xmlns.com/foaf/0.1/> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .

:rome a owl:Thing, :City ;
  rdfs:label "Rome"@en, "Rom"@de, "Roma" ;
  schema:description "Capital\\tof \\"Italy\\"\\nsince 1871"@en ;
  :capitalOf :italy ;
  :founded "-0752-04-21"^^xsd:date ;
  :area 1285.31 , 9 ;
  :inhabitants 2748109 ;
  :motto "SPQR" ;
  foaf:depiction <http://example.org/rome.jpg>, "pictures/rome.png" .
:italy a :Country ;
  rdfs:label "Italia"@it, "Italie"@fr ;
  :founded "1861"^^xsd:gYear ;
  :borders :france .
:france :borders :italy ; rdfs:label "France"@en-GB .
:City rdfs:label "city"@en .
:capitalOf rdfs:label "capital of"@en .
:atlantis rdfs:label "Atlantis"@en ; :founded "soon"^^xsd:date .
[] :capitalOf :france ; rdfs:label "a blank node"@en .
"""

FORMATS = {
    ".ttl": ox.RdfFormat.TURTLE,
    ".nt": ox.RdfFormat.N_TRIPLES,
    ".nq": ox.RdfFormat.N_QUADS,
    ".trig": ox.RdfFormat.TRIG,
    ".rdf": ox.RdfFormat.RDF_XML,
    ".jsonld": ox.RdfFormat.JSON_LD,
}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def get_facts(raw: RawGraph) -> set[tuple[str, str, str]]:
    return {(raw.entities[h], raw.relations[r], raw.entities[t]) for h, r, t in raw.triples["all"]}


def get_findings(raw: RawGraph) -> dict[str, int]:
    return {finding.kind: finding.count for finding in raw.findings}


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_says_the_same(tmp_path: Path, suffix: str) -> None:
    triples = list(ox.parse(TURTLE, format=ox.RdfFormat.TURTLE))
    path = tmp_path / f"g{suffix}"
    path.write_bytes(ox.serialize([q.triple for q in triples], format=FORMATS[suffix]) or b"")
    raw = read_rdf(path)
    assert get_facts(raw) == {
        (E + "rome", E + "capitalOf", E + "italy"),
        (E + "italy", E + "borders", E + "france"),
        (E + "france", E + "borders", E + "italy"),
    }
    assert sorted(raw.entities) == [E + "france", E + "italy", E + "rome"]
    assert raw.names == {E + "rome": "Rome", E + "italy": "Italie", E + "france": "France"}
    assert raw.relation_names == {E + "capitalOf": "capital of"}
    assert raw.descriptions == {E + "rome": 'Capital of "Italy" since 1871'}
    assert raw.types == {E + "rome": "city", E + "italy": "Country"}
    assert {k: sorted(v) for k, v in raw.pictures.items()} == {
        E + "rome": sorted(["http://example.org/rome.jpg", str(tmp_path / "pictures/rome.png")])
    }
    assert raw.numbers[E + "inhabitants"] == {E + "rome": 2748109.0}
    assert raw.numbers[E + "area"] in ({E + "rome": 1285.31}, {E + "rome": 9.0})
    assert raw.numbers[E + "founded"] == {
        E + "rome": pytest.approx(-752 + (31 + 29 + 31 + 20) / 366),  # -752 is a leap year
        E + "italy": 1861.0,
    }
    assert get_findings(raw) == {
        "blank": 2,
        "no-number": 1,
        "repeated-number": 1,
        "without-facts": 1,  # Atlantis, but neither the class nor the relation
        "unused-text": 1,
    }


def test_the_first_of_two_numbers_counts(tmp_path: Path) -> None:
    assert read_rdf(write(tmp_path / "g.ttl", TURTLE)).numbers[E + "area"][E + "rome"] == 1285.31


def test_types_may_be_facts(tmp_path: Path) -> None:
    raw = read_rdf(write(tmp_path / "g.ttl", TURTLE), options=RdfOptions(types_as_facts=True))
    rdf_type = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
    assert (E + "rome", rdf_type, E + "City") in get_facts(raw)
    assert raw.types[E + "rome"] == "city"


def test_blank_nodes_may_be_kept_and_have_the_same_names_each_time(tmp_path: Path) -> None:
    path = write(tmp_path / "g.ttl", TURTLE)
    first, second = (read_rdf(path, options=RdfOptions(keep_blank_nodes=True)) for _ in range(2))
    assert ("_:g.ttl-1", E + "capitalOf", E + "france") in get_facts(first)
    assert first.names["_:g.ttl-1"] == "a blank node"
    assert first.entities == second.entities
    assert "blank" not in get_findings(first)


def test_meanings_of_properties_can_be_set(tmp_path: Path) -> None:
    options = RdfOptions(
        names=(E + "motto",), descriptions=(RDFS + "label",), pictures=(), types=()
    )
    raw = read_rdf(write(tmp_path / "g.ttl", TURTLE), options=options)
    assert raw.names == {E + "rome": "SPQR"}
    assert raw.descriptions[E + "rome"] == "Rome"
    assert not raw.pictures
    assert not raw.types
    depiction = "http://xmlns.com/foaf/0.1/depiction"
    assert (E + "rome", depiction, "http://example.org/rome.jpg") in get_facts(raw)


def test_wikidata_names_its_relations_by_their_items(tmp_path: Path) -> None:
    text = """
    @prefix wd: <http://www.wikidata.org/entity/> .
    @prefix wdt: <http://www.wikidata.org/prop/direct/> .
    @prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
    wd:P17 rdfs:label "country"@en ; <http://wikiba.se/ontology#directClaim> wdt:P17 .
    wd:Q64 wdt:P17 wd:Q183 ; wdt:P31 wd:Q515 ; rdfs:label "Berlin"@en ;
      wdt:P18 <http://commons.wikimedia.org/wiki/Special:FilePath/Berlin.jpg> .
    wd:Q515 rdfs:label "city"@en .
    """
    raw = read_rdf(write(tmp_path / "g.ttl", text))
    assert raw.relation_names == {"http://www.wikidata.org/prop/direct/P17": "country"}
    assert len(raw.relations) == 2  # P31 is a type and a relation
    assert raw.types == {"http://www.wikidata.org/entity/Q64": "city"}
    assert raw.pictures == {
        "http://www.wikidata.org/entity/Q64": [
            "http://commons.wikimedia.org/wiki/Special:FilePath/Berlin.jpg"
        ]
    }
    assert get_findings(raw) == {}


def test_packed_files_and_graphs_of_quads(tmp_path: Path) -> None:
    quads = f"<{E}a> <{E}r> <{E}b> <{E}g1> .\n<{E}b> <{E}r> <{E}c> <{E}g2> .\n"
    quads += f'<{E}a> <{RDFS}label> "x <{E}y> . "@en <{E}g1> .\n'
    path = tmp_path / "g.nq.gz"
    path.write_bytes(gzip.compress(quads.encode()))
    raw = read_rdf(path)
    assert get_facts(raw) == {(E + "a", E + "r", E + "b"), (E + "b", E + "r", E + "c")}
    assert raw.names == {E + "a": f"x <{E}y> ."}


def test_a_file_without_a_telling_name(tmp_path: Path) -> None:
    assert len(read_rdf(write(tmp_path / "graph", TURTLE)).entities) == 3
    assert len(read_rdf(write(tmp_path / "graph.csv", TURTLE), format="turtle").entities) == 3
    with pytest.raises(DataError, match="neither its name nor its start tells a format"):
        read_rdf(write(tmp_path / "graph.dat", "hello"))
    with pytest.raises(DataError, match="format 'turtel': expected one of ntriples"):
        read_rdf(tmp_path / "graph", format="turtel")


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"\xef\xbb\xbf<?xml version='1.0'?>", "rdfxml"),
        (b"<rdf:RDF xmlns", "rdfxml"),
        (b'[{"@id": 1}]', "jsonld"),
        (b'{"a": 1}', None),
        (b"# hello\nPREFIX a: <b>", "turtle"),
        (b"<http://a> <http://b> <http://c> .", "ntriples"),
        (b"_:a <http://b> 'c'", "ntriples"),
        (b"a,b,c", None),
        (b"", None),
    ],
)
def test_formats_are_told_by_their_start(start: bytes, expected: str | None) -> None:
    assert guess_format(start) == expected


# --- languages -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "texts", "expected"),
    [
        (("en",), {"en": "a", "de": "b", "": "c"}, "a"),
        (("en",), {"en-GB": "a", "en": "b"}, "b"),
        (("en",), {"en-GB": "a", "": "c"}, "a"),
        (("en",), {"eng": "a", "": "c"}, "c"),
        (("en",), {"de": "a", "": "c"}, "c"),
        (("en",), {"fr": "a", "de": "b"}, "b"),  # any: the first tag by alphabet
        (("pt-BR", "en"), {"pt": "a", "en": "b"}, "a"),
        (("pt-BR", "en"), {"pt-PT": "a", "en": "b"}, "b"),
        (("de", "EN"), {"en": "a", "fr": "b"}, "a"),
        ((), {"en": "a", "": "b"}, "b"),
        (("ar",), {"ar--rtl": "a", "": "b"}, "a"),
    ],
)
def test_which_language_is_taken(
    tmp_path: Path, wanted: tuple[str, ...], texts: dict[str, str], expected: str
) -> None:
    lines = [f"<{E}x> <{E}r> <{E}y> ."]
    for tag, text in texts.items():
        lines.append(f'<{E}x> <{RDFS}label> "{text}"{"@" + tag if tag else ""} .')
    for order in (lines, lines[::-1]):
        path = write(tmp_path / "g.nt", "\n".join(order))
        assert read_rdf(path, options=RdfOptions(languages=wanted)).names == {E + "x": expected}


def test_a_label_is_preferred_to_other_names_of_its_language(tmp_path: Path) -> None:
    skos = "http://www.w3.org/2004/02/skos/core#prefLabel"
    lines = [
        f"<{E}x> <{E}r> <{E}y> .",
        f'<{E}x> <{skos}> "preferred"@en .',
        f'<{E}x> <{RDFS}label> "label"@en .',
        f'<{E}y> <{skos}> "preferred"@en .',
        f'<{E}y> <{RDFS}label> "Etikett"@de .',
    ]
    names = read_rdf(write(tmp_path / "g.nt", "\n".join(lines))).names
    assert names == {E + "x": "label", E + "y": "preferred"}


def test_languages_are_checked() -> None:
    with pytest.raises(ConfigError, match="language 'deutsch!'"):
        RdfOptions(languages=("deutsch!",))


def test_ranks_of_languages() -> None:
    ranks = rank_languages(["", "en", "en-us", "de", "xx"], ("en", "de"))
    assert sorted(ranks, key=lambda tag: ranks[tag]) == ["en", "en-us", "de", "", "xx"]


# --- against the parser, statement by statement --------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
NODES = st.sampled_from([ox.NamedNode(E + name) for name in "abcde"])
LITERALS = st.one_of(
    st.builds(ox.Literal, TEXT),
    st.builds(
        lambda text, tag: ox.Literal(text, language=tag), TEXT, st.sampled_from(["en", "de"])
    ),
    st.builds(lambda n: ox.Literal(str(n), datatype=ox.NamedNode(XSD + "integer")), st.integers()),
)
BLANKS = st.sampled_from([ox.BlankNode("x"), ox.BlankNode("y")])
PROPERTIES = st.sampled_from(
    [ox.NamedNode(iri) for iri in (E + "r", E + "s", RDFS + "label", RDFS + "comment")]
)
GRAPHS = st.sampled_from([ox.DefaultGraph(), ox.NamedNode(E + "g"), ox.BlankNode("g")])
QUADS = st.builds(ox.Quad, st.one_of(NODES, BLANKS), PROPERTIES, st.one_of(NODES, BLANKS, LITERALS),
                  GRAPHS)  # fmt: skip


@given(st.lists(QUADS, max_size=20))
def test_terms_are_told_apart(quads: list[ox.Quad]) -> None:
    literals, others = split_terms(ox.serialize(quads, format=ox.RdfFormat.N_QUADS) or b"")
    found = [
        (subject, predicate, unescape(text), language or "", datatype or "")
        for subject, predicate, text, language, datatype in literals.rows()
    ]
    expected = []
    for quad in quads:
        if isinstance(quad.object, ox.Literal):
            plain = quad.object.language or quad.object.datatype.value == XSD + "string"
            expected.append(
                (
                    *(get_label(quad.subject), quad.predicate.value, quad.object.value),
                    *(quad.object.language or "", "" if plain else quad.object.datatype.value),
                )
            )
    assert found == expected
    links = [q for q in quads if not isinstance(q.object, ox.Literal)]
    assert others.rows() == [
        (get_label(q.subject), q.predicate.value, get_label(q.object)) for q in links
    ]


def get_label(term: object) -> str:
    return term.value if isinstance(term, ox.NamedNode) else str(term)


def choose_name(found: Iterable[tuple[str, str]]) -> str:
    """The plain rule: English, then no language, then any; ties by tag and text."""
    order = {"en": 0, "": 1}
    texts = sorted((order.get(tag, 2), tag, text) for tag, text in found)
    edges = r"^[\s\x00-\x1f]+|[\s\x00-\x1f]+$"
    return re.sub(edges, "", re.sub(r"[\t\r\n]+", " ", texts[0][2]))


@settings(max_examples=25, deadline=None)
@given(quads=st.lists(QUADS, min_size=1, max_size=30), size=st.sampled_from([1, 100, 2000]))
def test_a_file_against_its_statements_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, quads: list[ox.Quad], size: int
) -> None:
    quads.append(ox.Quad(ox.NamedNode(E + "a"), ox.NamedNode(E + "r"), ox.NamedNode(E + "b")))
    path = tmp_path_factory.getbasetemp() / "oracle.nq"
    path.write_bytes(ox.serialize(quads, format=ox.RdfFormat.N_QUADS) or b"")
    facts, names, numbers = [], {}, {}
    for quad in quads:
        subject, predicate, object_ = quad.subject, quad.predicate.value, quad.object
        if isinstance(subject, ox.BlankNode) or isinstance(object_, ox.BlankNode):
            continue
        if isinstance(object_, ox.NamedNode):
            facts.append((subject.value, predicate, object_.value))
        elif predicate == RDFS + "label":
            names.setdefault(subject.value, []).append((object_.language or "", object_.value))
        elif predicate != RDFS + "comment" and object_.datatype.value == XSD + "integer":
            numbers.setdefault((predicate, subject.value), float(object_.value))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rdf, "_CHUNK", size)
        patch.setattr(rdf, "_BATCH_SIZE", size)
        raw = read_rdf(path)
    known = {label for head, _, tail in facts for label in (head, tail)}
    triples = raw.triples["all"]
    assert triples.dtype == np.int64
    labelled = [(raw.entities[h], raw.relations[r], raw.entities[t]) for h, r, t in triples]
    assert labelled == facts
    assert set(raw.entities) == known
    expected = {label: choose_name(found) for label, found in names.items() if label in known}
    assert raw.names == {label: name for label, name in expected.items() if name}
    assert {
        (attribute, label): value
        for attribute, values in raw.numbers.items()
        for label, value in values.items()
    } == {key: value for key, value in numbers.items() if key[1] in known}


# --- faults that do not stop the reading ---------------------------------------------------------


def test_malformed_lines_are_counted_with_their_place(tmp_path: Path) -> None:
    good = f"<{E}a> <{E}r> <{E}b> .\n"
    path = write(tmp_path / "g.nt", good + "broken\n" + good + f"<{E}a> <{E}r> <{E} b> .\n" + good)
    raw = read_rdf(path)
    assert len(raw.triples["all"]) == 3
    [finding] = raw.findings
    assert (finding.kind, finding.count) == ("malformed", 2)
    assert [example.split(": ")[0] for example in finding.examples] == [f"{path}:2", f"{path}:4"]
    with pytest.raises(FormatError, match=r"g\.nt:2: "):
        read_rdf(path, options=RdfOptions(strict=True))


def test_progress_is_reported(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    read_rdf(write(tmp_path / "g.ttl", TURTLE), progress=lambda *step: told.append(step))
    assert told == [("reading g.ttl", 27, 0)]


def test_unknown_values_and_pages_of_wikidata_are_no_entities(tmp_path: Path) -> None:
    wd, wdt = "http://www.wikidata.org/entity/", "http://www.wikidata.org/prop/direct/"
    lines = [
        f"<{wd}Q1> <{wdt}P47> <{wd}Q2> .",
        f"<{wd}Q1> <{wdt}P22> <http://www.wikidata.org/.well-known/genid/0a1> .",
        f"<https://en.wikipedia.org/wiki/T> <http://schema.org/about> <{wd}Q1> .",
        f"<{wd}Q2> <{wdt}P856> <https://site.example/> .",
    ]
    raw = read_rdf(write(tmp_path / "f.nt", "\n".join(lines)))
    assert get_facts(raw) == {(f"{wd}Q1", f"{wdt}P47", f"{wd}Q2")}
    assert get_findings(raw) == {"blank": 1, "web-page": 2}
    options = RdfOptions(keep_blank_nodes=True, web_pages=())
    assert len(get_facts(read_rdf(tmp_path / "f.nt", options=options))) == 3
