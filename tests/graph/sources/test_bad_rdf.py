"""RDF as it should not be: each fault is told in one line, with its place, or is counted.

What could end the process (stacks, memory) is also read in a process of its own.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import DataError, FormatError, MomokError
from momok.graph.sources import rdf_faults
from momok.graph.sources.rdf import read_rdf
from momok.graph.sources.rdf_collect import RdfOptions
from momok.graph.sources.rdf_faults import FaultLog

E = "http://example.org/"
FACT = f"<{E}a> <{E}r> <{E}b> .\n".encode()
PREFIX = f"@prefix : <{E}> .\n".encode()
XML = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:e="http://e/">'
LINK = b'<rdf:Description rdf:about="http://e/a"><e:r rdf:resource="http://e/b"/></rdf:Description>'
VOCAB = b'{"@context":{"@vocab":"http://e/"},"@id":"http://e/a",'
BOMB = b"".join(
    b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10 if i else b"lol") for i in range(9)
)
FILE = b'<!ENTITY a SYSTEM "file:///etc/hostname">'


def with_entities(declared: bytes, text: bytes) -> bytes:
    about = b'<rdf:Description rdf:about="http://e/a"><e:r>' + text + b"</e:r></rdf:Description>"
    return b'<?xml version="1.0"?><!DOCTYPE r [' + declared + b"]>" + XML + about + b"</rdf:RDF>"


def zipped(path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


# Name of the file, its content, and what is said; the path is before it.
FATAL: dict[str, tuple[str, bytes, str]] = {
    "nt: empty": ("g.nt", b"", r": holds no statement$"),
    "nt: blanks and comments": ("g.nt", b"\n\n# nothing\n", ": holds no statement"),
    "nt: texts alone": ("g.nt", f'<{E}a> <{E}r> "x" .'.encode(), "1 statements and no fact"),
    "nt: blank nodes alone": ("g.nt", b"_:a <http://r> _:b .", "blank node, which can be kept"),
    "nt: a table": ("g.nt", b"a,likes,b\n" * 9, r":1: .*no statement can be used"),
    "nt: one wrong line": ("g.nt", b"hello world\n", r":1: "),
    "nt: Turtle": ("g.nt", PREFIX + b":a :r :b .\n", "is read as ntriples and looks like turtle"),
    "nt: RDF/XML": ("g.nt", XML + LINK + b"</rdf:RDF>", "looks like rdfxml"),
    "nt: many wrong lines": ("g.nt", b"wrong\n" * 5000, "5,000 lines so far cannot be used"),
    "nt: UTF-16": ("g.nt", FACT.decode().encode("utf-16"), ":1: is UTF-16; save the file as UTF-8"),
    "nt: Latin-1 alone": ("g.nt", b"<http://e/\xe9> <u:r> <u:b> .", ":1: is not UTF-8; save"),
    "nt: numbers without dots": ("g.nt", b"1\t2\t3\n", ":1: "),
    "nt: relative IRIs": ("g.nt", b"<a> <b> <c> .\n", r":1: .*IRI"),
    "nt: gzip cut short": ("g.nt.gz", gzip.compress(os.urandom(9000))[:4000], "gzip stream ends"),
    "nt: gzip bomb": ("g.nt.gz", gzip.compress(b"#" * 80_000_000), "as bombs do"),
    "ttl: broken": ("g.ttl", PREFIX + b":a :r :b\n:c :r :d .\n:e", r":3: A dot is expected"),
    "ttl: an open text": ("g.ttl", PREFIX + b':a :r "x .\n:c :r :d .\n', ":2: Unexpected end"),
    "ttl: an open long text": ("g.ttl", PREFIX + b':a :r """x .\n:c :r :d', ":2: Unexpected end"),
    "ttl: an open bracket": ("g.ttl", PREFIX + b":a :r [ :r :b .\n:c :r :d", ":2: .*should end"),
    "ttl: no prefix": ("g.ttl", b":a :r :b .\n", r":1: .*prefix"),
    "ttl: Latin-1": ("g.ttl", PREFIX + b':a :r :b .\n:a :n "caf\xe9" .\n', ":3: is not UTF-8"),
    "ttl: no such prefix": ("g.ttl", PREFIX + b":a :r :b .\n:a :r x:y .\n", ":3: The prefix x: "),
    "ttl: an IRI with a blank": ("g.ttl", PREFIX + b":a :r :b .\n:a :r <x y> .", ":3: Invalid IRI"),
    "trig: no such prefix": ("g.trig", PREFIX + b":g { :a :r :b . }\n:a :r x:y .\n", ":3: The pre"),
    "ttl: RDF/XML": ("g.ttl", XML + LINK + b"</rdf:RDF>", "looks like rdfxml"),
    "ttl: a text of 20 MiB": ("g.ttl", PREFIX + b':a :r "' + b"x" * (20 << 20), "16 MiB"),
    "ttl: quotes without end": ("g.ttl", PREFIX + b":a :r " + b"<<( :a :r " * 9000, "quotes"),
    "ttl: a null character": ("g.ttl", PREFIX + b":a \0 :b .", r":2: "),
    "trig: an open graph": ("g.trig", PREFIX + b":g { :a :r :b . \n", "Unexpected end"),
    "rdf: empty": ("g.rdf", b"", ":1: is not well-formed XML .*: no element found"),
    "rdf: cut short": ("g.rdf", XML + LINK, ":1: is not well-formed XML .*: no element found"),
    "rdf: tags that cross": ("g.rdf", XML + b"\n<e:A><e:r>\n</e:A></rdf:RDF>", ":3: .*mismatched"),
    "rdf: a web page": ("g.rdf", b"<html><body>hello</body></html>", "namespaces are required"),
    "rdf: entities that multiply": ("g.rdf", with_entities(BOMB, b"&a8;"), "'a1' is long"),
    "rdf: an entity of a file": ("g.rdf", with_entities(FILE, b"&a;"), "lies in another file"),
    "rdf: a long entity": (
        "g.rdf",
        with_entities(b'<!ENTITY a "' + b"x" * 5000 + b'">', b"&a;" * 9),
        "'a' is long",
    ),
    "rdf: deep": ("g.rdf", XML + b"<e:A><e:r>" * 40_000, "nested more than 256 deep"),
    "rdf: Latin-1": (
        "g.rdf",
        b'<?xml version="1.0" encoding="ISO-8859-1"?>' + XML + LINK + b"<!-- \xe9 --></rdf:RDF>",
        "is not well-formed XML in UTF-8",
    ),
    "rdf: an IRI with a blank": ("g.rdf", XML + LINK.replace(b"e/b", b" ") + b"</rdf:RDF>", "IRI"),
    "jsonld: empty": ("g.jsonld", b"", ":1: .*Unexpected end"),
    "jsonld: cut short": ("g.jsonld", VOCAB + b'"r":{"@id":', r":1: "),
    "jsonld: a context of the web": ("g.jsonld", b'{"@context":"http://x/"}', "remote context"),
    "jsonld: plain JSON": ("g.json", b'{"a": [1, 2]}', "holds no statement"),
    "jsonld: deep": ("g.jsonld", b"[" * 100_000, "nested more than 256 deep"),
    "jsonld: deep, over texts": (
        "g.jsonld",
        VOCAB + b'"r":' + b'{"x\\"]}\\\\":' * 5000,
        "nested more than 256 deep",
    ),
    "no name": ("graph.dat", b"hello", "neither its name nor its start"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FATAL)
def test_a_fatal_fault_is_told_in_one_line(tmp_path: Path, fault: str) -> None:
    name, content, expected = FATAL[fault]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MomokError, match=expected) as caught:
        read_rdf(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))


# What is lost, and where: the facts around it are read.
LOST: dict[str, tuple[str, bytes, int]] = {
    "nt: a broken line": ("g.nt", FACT + b"<http://a> broken\n" + FACT, 2),
    "nt: an IRI with a blank": ("g.nt", FACT + b"<http://a b> <http://r> <http://c> .\n" + FACT, 2),
    "nt: Latin-1": ("g.nt", FACT + b'<http://a> <http://r> "caf\xe9" .\n' + FACT, 2),
    "nt: half a letter": ("g.nt", FACT + b'<http://a> <http://r> "\xe2\x82" .\n' + FACT, 2),
    "nt: an open text": ("g.nt", FACT + b'<http://a> <http://r> "x .\n' + FACT, 2),
    "nt: no dot": ("g.nt", FACT + b"<http://a> <http://r> <http://b>\n" + FACT, 2),
    "nt: a bad escape": ("g.nt", FACT + b'<http://a> <http://r> "\\q" .\n' + FACT, 2),
    "nt: a lone surrogate": ("g.nt", FACT + b'<http://a> <http://r> "\\uD800" .\n' + FACT, 2),
    "nt: a bad language": ("g.nt", FACT + b'<http://a> <http://r> "x"@123 .\n' + FACT, 2),
    "nt: a line of 9 MiB": (
        "g.nt",
        FACT + b'<http://a> <http://r> "' + b"x" * (9 << 20) + b'" .\n' + FACT,
        2,
    ),
    "nt: quotes without end": (
        "g.nt",
        FACT + b"<http://a> <http://r> " + b"<<( <http://a> <http://r> " * 30_000 + b"\n" + FACT,
        2,
    ),
    "nt: a null character": ("g.nt", FACT + b"\0\n" + FACT, 2),
    "nq: five terms": ("g.nq", FACT + FACT[:-2] + b"<u:g> <u:h> .\n" + FACT, 2),
}  # fmt: skip


@pytest.mark.parametrize("fault", LOST)
def test_a_fault_of_one_statement_is_counted(tmp_path: Path, fault: str) -> None:
    name, content, line = LOST[fault]
    path = tmp_path / name
    path.write_bytes(content)
    raw = read_rdf(path)
    assert len(raw.triples["all"]) == 2
    [finding] = [finding for finding in raw.findings if finding.kind == "malformed"]
    assert finding.count == 1
    assert finding.examples[0].startswith(f"{path}:{line}: ")
    with pytest.raises(FormatError, match=rf"^{path}:{line}: ") as caught:
        read_rdf(path, options=RdfOptions(strict=True))
    assert "\n" not in str(caught.value)


HARMLESS: dict[str, tuple[str, bytes]] = {
    "a byte-order mark in N-Triples": ("g.nt", b"\xef\xbb\xbf" + FACT),
    "a byte-order mark in Turtle": ("g.ttl", b"\xef\xbb\xbf" + PREFIX + b":a :r :b ."),
    "a byte-order mark in RDF/XML": ("g.rdf", b"\xef\xbb\xbf" + XML + LINK + b"</rdf:RDF>"),
    "a byte-order mark in JSON-LD": ("g.jsonld", b"\xef\xbb\xbf" + VOCAB + b'"r":{"@id":"http://b"}}'),
    "carriage returns": ("g.nt", FACT.replace(b"\n", b"\r\n") * 3),
    "no last line end": ("g.nt", FACT.rstrip()),
    "N-Triples as Turtle": ("g.ttl", FACT),
    "short entities": (
        "g.owl",
        b'<!DOCTYPE r [<!ENTITY e "http://e/">]>' + XML + LINK.replace(b"http://e/", b"&e;")
        + b"</rdf:RDF>",
    ),
    "blank nodes in a circle": ("g.nt", FACT + b"_:a <http://r> _:b .\n_:b <http://r> _:a .\n"),
    "a loop": ("g.nt", FACT + b"<http://a> <http://r> <http://a> .\n"),
    "quoted triples": ("g.nt", FACT + b"<http://a> <http://r> <<( <http://a> <http://r> 'x' )>> .\n"
                       .replace(b"'", b'"')),
    "deep brackets": ("g.ttl", PREFIX + b":a :r :b . :a :r " + b"[ :r " * 9000 + b":b" + b"]" * 9000
                      + b" ."),
    "a deep list": ("g.ttl", PREFIX + b":a :r :b . :a :r " + b"(" * 9000 + b")" * 9000 + b" ."),
    "angles in texts": ("g.ttl", PREFIX + b':a :r :b . :a :n "' + b"<<" * 900 + b'" .'),
    "half of a JSON text at a chunk's end": (
        "g.jsonld",
        VOCAB + b'"n":"' + b"\\\\" * (1 << 17) + b'\\"[[","r":{"@id":"http://b"}}',
    ),
    "control characters": ("g.nt", FACT + b'<http://a> <http://n> "\\u0000\\u001B[31m" .\n'),
    "an IRI of 1 MB": ("g.nt", FACT + b"<u:" + b"x" * 1_000_000 + b"> <u:r> <u:b> .\n"),
}  # fmt: skip


@pytest.mark.parametrize("case", HARMLESS)
def test_what_is_odd_and_fine(tmp_path: Path, case: str) -> None:
    name, content = HARMLESS[case]
    path = tmp_path / name
    path.write_bytes(content)
    raw = read_rdf(path)
    assert len(raw.triples["all"]) >= 1
    assert not [finding for finding in raw.findings if finding.kind == "malformed"]


@pytest.mark.parametrize(
    ("member", "expected"),
    [("../g.nt", "leads out of its folder"), ("/g.nt", "leads out of its folder")],
)
def test_archives_that_lead_out(tmp_path: Path, member: str, expected: str) -> None:
    zipped(tmp_path / "g.zip", {member: FACT})
    with pytest.raises(FormatError, match=expected):
        read_rdf(tmp_path / "g.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["g.zip"]


def test_a_member_of_an_archive(tmp_path: Path) -> None:
    zipped(tmp_path / "g.zip", {"a.nt": FACT, "b.ttl": PREFIX + b":a :r :b, :c ."})
    with pytest.raises(FormatError, match="holds 2 files"):
        read_rdf(tmp_path / "g.zip")
    assert len(read_rdf(tmp_path / "g.zip" / "b.ttl").entities) == 3


@pytest.mark.parametrize("name", ["$(touch x).nt", "-rf.nt", "a\nb.nt", "\x1b[31m.nt", "ü ö|.nt"])
def test_hostile_file_names(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FACT + b"broken\n" + b"_:x <http://r> <http://b> .\n")
    raw = read_rdf(path, options=RdfOptions(keep_blank_nodes=True))
    assert len(raw.triples["all"]) == 2
    assert not any("\n" in label or "\t" in label for label in raw.entities)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [name]


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.nt").mkdir()
    (tmp_path / "loop.nt").symlink_to(tmp_path / "loop.nt")
    os.mkfifo(tmp_path / "pipe.nt")
    for name in ("folder.nt", "loop.nt", "pipe.nt", "missing.nt", "null\0.nt"):
        with pytest.raises(DataError) as caught:
            read_rdf(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_pictures_outside_are_not_taken(tmp_path: Path) -> None:
    """Absolute paths, .. and links of an RDF file do not bring other files into the graph."""
    from momok.graph.sources.reading import read_sources

    inside = tmp_path / "data"
    inside.mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    (inside / "good.png").write_bytes(b"good")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    image = "<http://schema.org/image>"
    lines = [f'<{E}a> {image} "{path}" .' for path in
             ("good.png", "../secret.png", str(tmp_path / "secret.png"), "link.png")]  # fmt: skip
    lines.append(f"<{E}a> {image} <file://{tmp_path / 'secret.png'}> .")
    path = inside / "g.nt"
    path.write_bytes(FACT + "\n".join(lines).encode())
    pictures = read_sources([path]).pictures
    assert pictures == {E + "a": [str(inside / "good.png")]}


# --- fuzzing -------------------------------------------------------------------------------------

SAMPLES: dict[str, bytes] = {
    "ntriples": FACT + b'<http://a> <http://n> "x\\u00e9"@en .\n_:b <http://r> "1"^^<http://d> .\n',
    "nquads": FACT[:-2] + b'<http://g> .\n<http://a> <http://n> "x" _:g .\n',
    "turtle": PREFIX + b':a :r :b, [ :r (1 2.5 true) ] ; :n """x\n""" , "y"@en-GB .\n# end\n',
    "trig": PREFIX + b":g { :a :r :b . } GRAPH :h { :b :r << :a :r :b >> }\n",
    "rdfxml": with_entities(b'<!ENTITY e "http://e/">', b"&e;") + LINK,
    "jsonld": VOCAB + b'"r":[{"@id":"http://e/b"},{"@value":"1","@type":"http://d"}],"n":"x\\n"}',
    "streaming-jsonld": VOCAB + b'"r":{"@list":[1,{"@id":"_:b"}]},"s":[null,true,1.5e300]}',
}
JUNK = st.sampled_from(
    [
        *(b"<<(", b")>>", b"<", b">", b'"', b"'''", b'"""', b"\\", b"\\u", b"@", b"^^", b"[", b"]"),
        *(b"{", b"}", b"(", b")", b".", b";", b",", b"_:", b"#", b"\n", b"\r", b"\0", b"\xff"),
        *(b"\xc3", b"&", b"&amp;", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?", b"@prefix"),
        *(b"@context", b"a"),
    ]
)


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(sorted(SAMPLES)),
    edits=st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 8), st.one_of(JUNK, st.binary(max_size=6))),
        max_size=8,
    ),
    repeat=st.integers(1, 3),
)
def test_spoilt_documents_never_crash(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    edits: list[tuple[int, int, bytes]],
    repeat: int,
) -> None:
    content = SAMPLES[kind] * repeat
    for place, cut, inserted in edits:
        start = place % (len(content) + 1)
        content = content[:start] + inserted + content[start + cut :]
    assert_harmless(tmp_path_factory.getbasetemp() / "spoilt", content, kind)


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(sorted(SAMPLES)), content=st.binary(max_size=300))
def test_bytes_never_crash(
    tmp_path_factory: pytest.TempPathFactory, kind: str, content: bytes
) -> None:
    assert_harmless(tmp_path_factory.getbasetemp() / "bytes", content, kind)


def assert_harmless(path: Path, content: bytes, kind: str) -> None:
    """Reading gives a graph that fits together, or one line."""
    path.write_bytes(content)
    said = ""
    try:
        raw = read_rdf(path, format=kind, options=RdfOptions(keep_blank_nodes=True))
    except MomokError as error:
        said = str(error)
    else:
        assert len(raw.triples["all"]) >= 1
        known = set(raw.entities)
        assert raw.names.keys() | raw.types.keys() | raw.pictures.keys() <= known
    assert "\n" not in said


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from([b"", FACT[:-3], FACT[:-1], b'<http://a> <http://r> "x']),
    junk=st.lists(st.one_of(JUNK, st.sampled_from([b"<http://x", b"_:b", b" "])), max_size=6),
    kind=st.sampled_from(["ntriples", "nquads"]),
)
def test_a_faulty_line_takes_no_other_with_it(
    tmp_path_factory: pytest.TempPathFactory, start: bytes, junk: list[bytes], kind: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "lines"
    bad = (start + b"".join(junk)).replace(b"\n", b" ").replace(b"\r", b" ")
    path.write_bytes(FACT + bad + b"\n" + FACT.replace(b"b>", b"c>") + FACT.replace(b"b>", b"d>"))
    found = set(read_rdf(path, format=kind).entities)
    assert {E + "b", E + "c", E + "d"} <= found


JSON = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(st.sampled_from('[]{}"\\\\a,:'))),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(st.sampled_from('"\\[{')), inner)
    ),
    max_leaves=20,
)


def measure_depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(measure_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(measure_depth, value), default=0)
    return 0


@settings(max_examples=150, deadline=None)
@given(value=JSON, chunk=st.integers(1, 40))
def test_the_depth_of_json_does_not_depend_on_the_chunks(value: object, chunk: int) -> None:
    depth, content = measure_depth(value), json.dumps(value).encode()
    parts = [content[start : start + chunk] for start in range(0, len(content), chunk)]

    def check() -> None:
        check_part = rdf_faults._check_json(FaultLog("x").fail)
        for part in [*parts, b""]:
            check_part(part)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rdf_faults, "_MAX_DEPTH", depth)
        check()
        patch.setattr(rdf_faults, "_MAX_DEPTH", depth - 1)
        if depth:
            with pytest.raises(FormatError, match="nested more than"):
                check()


def test_memory_does_not_grow_with_malformed_lines(tmp_path: Path) -> None:
    path = tmp_path / "g.nt"
    path.write_bytes((FACT + b"<http://a> broken " + b"x" * 200 + b"\n") * 20_000)
    tracemalloc.start()
    raw = read_rdf(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(raw.triples["all"]) == raw.findings[0].count == 20_000
    assert peak < 30_000_000  # the file has 5 MB; its 20,000 faults are not kept


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
from pathlib import Path
from momok.errors import MomokError
from momok.graph.sources.rdf import read_rdf
for name in sys.argv[1:]:
    try:
        read_rdf(Path(name))
    except MomokError as error:
        print(error)
"""


def test_bombs_end_neither_the_process_nor_the_memory(tmp_path: Path) -> None:
    """What crashed the bare parser, or took gigabytes of it."""
    bombs: dict[str, bytes] = {
        "object.jsonld": VOCAB + b'"p":' + b'{"p":' * 50_000 + b"1" + b"}" * 50_001,
        "context.jsonld": b'{"@context":{"a":{"@id":"http://x/","@context":' * 3000,
        "nested.rdf": XML + b"<e:A><e:p>" * 50_000 + b"</e:p></e:A>" * 50_000 + b"</rdf:RDF>",
        "laughs.rdf": with_entities(BOMB, b"&a8;"),
        "quoted.nt": b"<http://a> <http://p> " + b"<<( <http://a> <http://p> " * 50_000
        + b"<http://b>" + b" )>>" * 50_000 + b" .\n",
        "quoted.ttl": PREFIX + b":a :p " + b"<<( :a :p " * 50_000 + b":b" + b")>>" * 50_000 + b".",
    }  # fmt: skip
    paths = []
    for name, content in bombs.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, *map(str, paths)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert len(done.stdout.splitlines()) == len(bombs)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("bad", [b"_:b_:b\\", b"\\", b'<http://a> <http://r> "x" \\'])
def test_a_backslash_at_the_end_of_a_line_does_not_take_the_next(
    tmp_path: Path, bad: bytes, end: bytes
) -> None:
    path = tmp_path / "lines.nt"
    path.write_bytes(bad + end + FACT + FACT.replace(b"b>", b"c>")[:-1] + b" # and so on \\\n")
    raw = read_rdf(path)
    assert {E + "b", E + "c"} <= set(raw.entities)
    (finding,) = raw.findings
    assert finding.count == 1
    assert finding.examples[0].startswith(f"{path}:1: ")
