"""Decisions as files: read as they were written, safe in spreadsheets, imported once."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from momok.cli import main
from momok.cli import reviews as cli
from momok.errors import ConfigError, DataError, FormatError
from momok.serving.reviews.files import (
    FORMATS,
    FileFormat,
    choose_format,
    encode_reviews,
    parse_reviews,
    read_reviews,
)
from momok.serving.reviews.places import load_reviewed_facts
from momok.serving.reviews.records import (
    Decision,
    Reason,
    Review,
    ReviewConflictError,
    ReviewFilter,
    State,
    read_time,
)
from momok.serving.reviews.store import ReviewStore
from momok.serving.settings import REVIEWS

FORMS: tuple[FileFormat, ...] = get_args(FileFormat)
SEEN = "2026-05-01T12:30:00.000+00:00"

labels = st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable() and text.strip())
texts = st.text(max_size=8).filter(lambda text: text.isprintable())
decided = st.builds(
    Review,
    head=labels,
    relation=labels,
    tail=labels,
    state=st.sampled_from(["accepted", "rejected", "unsure"]),
    reviewer=texts,
    note=texts,
    reason=st.sampled_from(get_args(Reason)),
    right_tail=texts,
    along=st.booleans(),
    probability=st.none() | st.floats(0, 1),
    changed=st.sampled_from(["", SEEN]),
)


def make(tail: str, state: State = "accepted", **changes: Any) -> Review:
    return Review(head="France", relation="borders", tail=tail, state=state, **changes)


def write(reviews: list[Review], form: FileFormat) -> str:
    return "".join(encode_reviews(reviews, form))


@given(found=st.lists(decided, max_size=5, unique_by=lambda review: review.fact))
@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_is_read_again(form: FileFormat, found: list[Review]) -> None:
    if form == "ntriples":
        pytest.importorskip("pyoxigraph", reason="pyoxigraph is not installed")
    assert parse_reviews(write(found, form), form, "f") == found


def test_ntriples_assert_what_was_accepted_alone() -> None:
    pyoxigraph = pytest.importorskip("pyoxigraph", reason="pyoxigraph is not installed")
    text = write(
        [make("http://x.org/Spain"), make("Japan", "rejected", note='"no"\n\\')], "ntriples"
    )
    read = list(pyoxigraph.parse(text.encode(), format=pyoxigraph.RdfFormat.N_TRIPLES))
    about = [t for t in read if not t.subject.value.startswith("urn:momok:decision/")]
    assert [(t.subject.value, t.predicate.value, t.object.value) for t in about] == [
        ("urn:momok:entity/France", "urn:momok:relation/borders", "http://x.org/Spain")
    ]
    notes = [t.object.value for t in read if t.predicate.value == "urn:momok:note"]
    assert notes == ['"no"\n\\']


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "'quoted", "\tx"])
def test_csv_is_safe_in_spreadsheets(text: str) -> None:
    review = make(text, note=text)
    written = write([review], "csv")
    cells = next(csv.DictReader(io.StringIO(written)))
    assert (cells["tail"], cells["note"]) == (f"'{text}", f"'{text}")
    assert parse_reviews(written, "csv", "f") == [review]


def test_csv_of_a_spreadsheet_with_semicolons_is_read() -> None:
    text = '\ufeff"head";"relation";"tail";"state"\r\n"a";"r";"b; c";"rejected"\r\n'
    assert parse_reviews(text.removeprefix("\ufeff"), "csv", "f") == [
        Review(head="a", relation="r", tail="b; c", state="rejected")
    ]


HEADER = "head\trelation\ttail\tstate\n"
FAULTS: dict[str, tuple[FileFormat, str, str]] = {
    "no header": ("tsv", "a\tr\tb\n", "f:1: expected a header with the columns head, relation"),
    "columns": ("tsv", HEADER + "a\tr\tb\n", "f:2: 3 columns, expected 4"),
    "state": ("tsv", HEADER + "a\tr\tb\tmaybe\n", "f:2: state = 'maybe'"),
    "open": ("tsv", HEADER + "a\tr\tb\topen\n", "f:2: state 'open' is no decision"),
    "blank": ("tsv", HEADER + "a\t\tb\taccepted\n", "f:2: no relation; every decision"),
    "twice": (
        "tsv",
        HEADER + "a\tr\tb\taccepted\na\tr\tb\trejected\n",
        "f:3: this fact is rejected, and accepted in line 2",
    ),
    "json": ("jsonl", '{"head": 1\n', "f:1: is not JSON"),
    "list": ("jsonl", "\n[1]\n", "f:2: expected a JSON object"),
    "number": (
        "jsonl",
        '{"head": 1, "relation": "r", "tail": "b", "state": "accepted"}',
        "f:1: head = 1",
    ),
    "time": (
        "jsonl",
        '{"head": "a", "relation": "r", "tail": "b", "state": "accepted", "changed": "now"}',
        "f:1: changed = 'now': expected a day or a time",
    ),
    "script": (
        "tsv",
        "head\trelation\ttail\tstate\tsource\na\tr\tb\taccepted\tjavascript:alert(1)\n",
        "f:2: source: a source is an address",
    ),
    "half a character": (
        "jsonl",
        '{"head": "a", "relation": "r", "tail": "b", "state": "accepted", "note": "\\ud800"}',
        "f:1: note",
    ),
    "probability": (
        "tsv",
        "head\trelation\ttail\tstate\tprobability\na\tr\tb\taccepted\tnan\n",
        "f:2: probability = nan: expected 0 to 1",
    ),
    "triples": ("ntriples", "<a> <b>", "f: is not N-Triples"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named_with_their_line(fault: str) -> None:
    form, text, message = FAULTS[fault]
    with pytest.raises(FormatError) as caught:
        parse_reviews(text, form, "f")
    assert str(caught.value).startswith(message)


def test_plain_facts_are_accepted_ones(tmp_path: Path) -> None:
    file = tmp_path / "accepted.tsv"
    file.write_text("a\tr\tb\na\tr\tc\na\tr\tb\n")
    assert [(r.fact, r.state) for r in read_reviews(file)] == [
        (("a", "r", "b"), "accepted"),
        (("a", "r", "c"), "accepted"),
    ]
    with pytest.raises(DataError, match="there is no such"):
        read_reviews(tmp_path / "missing.tsv")


def test_times() -> None:
    assert read_time("2026-05-01") == "2026-05-01T00:00:00.000+00:00"
    assert read_time("2026-05-01", end=True) == "2026-05-02T00:00:00.000+00:00"
    assert read_time("2026-05-01T14:30+02:00", end=True) == SEEN
    with pytest.raises(ConfigError, match="expected a day or a time"):
        ReviewFilter(until="yesterday")


@pytest.fixture
def store(tmp_path: Path) -> Any:
    store = ReviewStore(f"sqlite:///{tmp_path / 'reviews.sqlite'}")
    yield store
    store.close()


def test_an_import_keeps_what_stands_and_can_be_repeated(store: ReviewStore) -> None:
    store.decide(Decision(fact=make("Spain").fact, action="reject", reviewer="ann"))
    store.decide(Decision(fact=make("Italy").fact, action="accept", reviewer="ann"))
    store.lease([(make("Andorra").fact, 0.5)], "bob")  # it is there, and open
    given = [
        make("Spain"),
        make("Italy"),
        make("Andorra", reviewer="eve", note="yes", changed=SEEN),
        make("Japan", "rejected", reason="false", probability=0.25),
        make("Peru", "disputed"),
    ]
    report = store.import_reviews(given, "file", by="me")
    assert (report.added, report.known, report.undecided) == (2, 1, 1)
    assert report.differing == [make("Spain")]
    again = store.import_reviews(given, "file", by="me")
    assert (again.added, again.known, again.differing) == (0, 3, [make("Spain")])
    stands = {review.tail: review for review in store.iterate_reviews()}
    assert {tail: review.state for tail, review in stands.items()} == {
        "Spain": "rejected",
        "Italy": "accepted",
        "Andorra": "accepted",
        "Japan": "rejected",
    }
    assert (stands["Andorra"].reviewer, stands["Andorra"].changed) == ("eve", SEEN)
    assert (stands["Japan"].reviewer, stands["Japan"].probability) == ("file", 0.25)
    history = store.list_events()[0]
    assert {event.tail: event.action for event in history[:2]} == {
        "Andorra": "accept",
        "Japan": "reject",
    }
    with pytest.raises(ReviewConflictError, match="nothing to undo"):
        store.undo("eve")  # who decided elsewhere, not here
    store.decide(Decision(fact=make("Cuba").fact, action="reject", reviewer="eve"))
    assert store.undo("eve").tail == "Cuba"


def test_filters(store: ReviewStore) -> None:
    store.import_reviews(
        [
            make("a", reviewer="ann", changed=SEEN),
            make("b", "rejected", reviewer="ann", reason="false", changed="2026-05-02T00:00Z"),
            make("c", "rejected", reviewer="bob", reason="outdated", changed="2026-05-03T00:00Z"),
            Review(head="x", relation="lies-in", tail="d", state="unsure", changed=SEEN),
        ],
        "file",
        by="me",
    )

    def find(**wanted: Any) -> str:
        found = store.iterate_reviews(ReviewFilter(**wanted))
        return "".join(review.tail for review in found)

    assert find() == "abcd"
    assert find(states=("rejected", "unsure")) == "bcd"
    assert find(relation="lies-in") == "d"
    assert find(reviewer="ann") == "ab"
    assert find(reason="outdated") == "c"
    assert find(since="2026-05-02") == "bc"
    assert find(until="2026-05-02") == "abd"
    assert find(since="2026-05-01T12:31", until="2026-05-02T00:01") == "b"


def test_the_command_knows_the_formats_and_reasons() -> None:
    assert tuple(FORMATS) == cli._FORMATS
    assert {"", *cli._REASONS} == {*get_args(Reason)}
    assert {"open", *cli._STATES} == {*get_args(State)}
    assert choose_format(Path("x.NT")) == "ntriples"


def test_the_command_exports_and_imports(own_run: Path, tmp_path: Path) -> None:
    def run(*arguments: str | Path, fails: bool = False) -> str:
        result = CliRunner().invoke(main, ["reviews", *map(str, arguments)])
        assert result.exit_code == (2 if fails else 0), result.output
        return result.output

    assert "no decisions here" in run("export", own_run, fails=True)
    given = tmp_path / "given.tsv"
    given.write_text(
        HEADER + "q:france\tborders\tq:japan\trejected\nq:spain\tborders\tnew\taccepted\n"
    )
    assert "2 decisions added; 0 were there already" in run("import", own_run, given)
    assert "0 decisions added; 2 were there already" in run("import", own_run, given)
    out = tmp_path / "out.jsonl"
    run("export", own_run, "--out", out, "--state", "rejected", "--relation", "borders")
    (row,) = map(json.loads, out.read_text().splitlines())
    assert (row["head"], row["tail_name"], row["reviewer"]) == ("q:france", "日本", "import")
    address = f"sqlite:///{own_run / REVIEWS}"
    assert "no decisions on this relation" in run(
        "export", address, "--relation", "touches", fails=True
    )
    given.write_text(HEADER + "q:spain\tborders\tnew\trejected\n")
    assert "rejected in given.tsv: q:spain | borders | new" in run("import", own_run, given)
    assert "expected a day or a time" in run("export", own_run, "--since", "now", fails=True)
    assert "by the ending" in run("export", own_run, "--out", "x.parquet", fails=True)
    assert load_reviewed_facts(str(own_run)).accepted == [("q:spain", "borders", "new")]


def test_a_mistyped_address_is_refused_and_makes_nothing(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'typo.sqlite'}"
    for arguments in (
        ("reviews", "export", address),
        ("reviews", "backup", address, str(tmp_path / "copy.sqlite")),
        ("reviewers", "revoke", address, "Ada"),
        ("reviewers", "list", address),
    ):
        result = CliRunner().invoke(main, list(arguments))
        assert (result.exit_code, result.output.count("\n")) == (2, 1), result.output
        assert "there is no such file" in result.output
    assert list(tmp_path.iterdir()) == []
