"""momok data build, as a user sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from momok.graph import load_graph

Invoke = Callable[..., Result]

FACTS = "subject,predicate,object,since\n" + "".join(
    f"town {i},in,land {i % 4},1\nland {i % 4},has,town {i},1\n"
    f"town {i},near,town {(i + 1) % 24},1\n"
    for i in range(24)
)
THINGS = "id,name,about,text,size\n" + "".join(f"town {i},Town,x,A town,{i}\n" for i in range(12))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "pictures").mkdir(parents=True)
    (folder / "facts.csv").write_text(FACTS + "short,line\n")
    (folder / "entities.csv").write_text(THINGS)
    for i in range(6):
        (folder / "pictures" / f"town {i}.png").write_bytes(b"no picture, but copied")
    return folder


def test_it_says_what_it_found_and_what_comes_next(invoke: Invoke, mine: Path) -> None:
    out = mine.parent / "built graph"
    result = invoke("data", "build", mine, "--out", out)
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    for words in (
        "a file of facts is there",
        "columns separated by commas",
        "head: 'subject', relation: 'predicate', tail: 'object'",
        "kept: 'since'",
        "entities by column 'id', which names 12 of the 28 entities",
        "numbers: 'size'",
        "6 of 6 pictures belong to entities",
        "malformed: 1 lines of facts.csv",
        "facts.csv:74: expected 4 columns, found 2",
        "has is the inverse of in (100% of its facts, 100% of those of in)",
        "--drop-inverse-leaks",
        "split 80/10/10 by seed 0",
        "entities 28",
        "names 12 (43% of the entities)",
        "6 pictures copied",
        f"momok data check '{out}'",
        f"momok encode '{out}' text",
        f"momok encode '{out}' image",
        f"momok encode '{out}' numeric",
        f"momok train '{out}' --run 'runs/built graph'",
    ):
        assert words in text, words
    graph = load_graph(out)
    assert len(graph.train) + len(graph.valid) + len(graph.test) == 72
    assert len(graph.pictures) == 6


def test_leaks_are_dropped_when_asked(invoke: Invoke, mine: Path) -> None:
    out = mine.parent / "out"
    result = invoke("data", "build", mine, "--out", out, "--drop-inverse-leaks", "--ratio", "6:2:2")
    assert result.exit_code == 0, result.output
    assert "inverse-leak: 24 facts of 1 relations that others tell are left out" in result.stdout
    assert "leak: has" not in result.stdout
    assert load_graph(out).relations.labels == ("in", "near")


def test_given_splits_and_reviews(invoke: Invoke, tmp_path: Path) -> None:
    for name, text in (
        ("train", "x\tr\ty\ny\tr\tz\n"),
        ("valid", "x\tr\tz\n"),
        ("test", "z\tr\tx\n"),
    ):
        (tmp_path / f"{name}.tsv").write_text(text)
    (tmp_path / "accepted.tsv").write_text("head\trelation\ttail\nz\tr\ty\nx\tr\ty\n")
    files = [f"--{split}={tmp_path}/{split}.tsv" for split in ("train", "valid", "test")]
    more = (f"--with-reviews={tmp_path}/accepted.tsv", "--name", "letters")
    result = invoke("data", "build", *files, "--out", tmp_path / "out", *more)
    assert result.exit_code == 0, result.output
    assert "split as the source has it (train and valid and test)" in result.stdout
    assert "1 reviewed facts added to train (1 were known already)" in result.stdout
    graph = load_graph(tmp_path / "out", split="published")
    assert graph.name == "letters"
    assert [len(graph.facts(split)) for split in ("train", "valid", "test")] == [3, 1, 1]


def test_hostile_labels_are_shown_escaped(invoke: Invoke, tmp_path: Path) -> None:
    rows = "".join(f"a{i}\x1b[2J,r,a{j}\x1b[2J\n" for i in range(5) for j in range(5))
    (tmp_path / "facts.csv").write_text(rows + "\x1b[2J,,x\n")
    result = invoke("data", "build", tmp_path / "facts.csv", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout


def test_a_graph_is_replaced_only_with_force(
    invoke: Invoke, fail: Callable[..., str], mine: Path
) -> None:
    out = mine.parent / "out"
    assert invoke("data", "build", mine, "--out", out).exit_code == 0
    assert "--force replaces it" in fail("data", "build", mine, "--out", out)
    assert invoke("data", "build", mine, "--out", out, "--force", "--seed", 3).exit_code == 0
    assert "no graph of momok's" in fail("data", "build", mine, "--out", mine, "--force")
    assert (mine / "facts.csv").is_file()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--encoding", "base64"), "expected one that Python knows"),
        (("--keep", "in"), "--drop-inv"),
    ],
)
def test_options_that_make_no_sense(
    given: tuple[str, ...], said: str, fail: Callable[..., str], tmp_path: Path
) -> None:
    (tmp_path / "f.csv").write_text("a,in,b\n")
    assert said in fail("data", "build", tmp_path / "f.csv", "--out", tmp_path / "g", *given)


def test_help_teaches(invoke: Invoke) -> None:
    text = invoke("data", "build", "--help").stdout
    assert "momok data build facts.csv --entities things.csv" in text
    assert "[80/10/10]" in text


def test_weights_and_what_is_kept_are_chosen(
    invoke: Invoke, fail: Callable[..., str], tmp_path: Path
) -> None:
    rows = [f"e{i},r,e{(i + 1) % 30},{1 + i},x{i}" for i in range(30)]
    (tmp_path / "facts.csv").write_text("\n".join(["h,r,t,sure,note", *rows]))
    build = ("data", "build", tmp_path / "facts.csv", "--out")
    text = invoke(*build, tmp_path / "a", "--weight", "sure", "--keep-columns", "note").output
    assert "weight: 'sure', kept: 'note'" in text
    assert "weight: 30 rows of facts.csv have a weight, column 'sure': 1 to 30" in text
    facts = (tmp_path / "a" / "facts.tsv").read_text().splitlines()
    assert facts[:2] == ["head\trelation\ttail\tweight\tnote", "e0\tr\te1\t1.0\tx0"]
    assert "weights of train" in invoke("data", "info", tmp_path / "a").output
    text = invoke(*build, tmp_path / "b", "--no-weight").output
    assert "columns not used: 'sure', 'note'" in text
    assert not (tmp_path / "b" / "facts.tsv").exists()
    folder = ["data", "build", tmp_path / "a", "--out", tmp_path / "d"]
    invoke(*folder, "--no-weight")
    assert load_graph(tmp_path / "a").weights("train") is not None
    assert load_graph(tmp_path / "d").weights("train") is None
    refused = invoke(*folder[:-1], tmp_path / "e", "--weight", "sure")
    assert "--weight and --keep-columns are of tables of facts" in refused.stderr
    both = invoke(*build, tmp_path / "c", "--no-weight", "--weight", "sure")
    assert both.exit_code == 2
    assert "--weight and --no-weight exclude each other" in both.stderr
    line = fail(*build, tmp_path / "c", "--weight", "shure")
    assert "there is no column 'shure'; did you mean" in line
    assert not (tmp_path / "c").exists()
