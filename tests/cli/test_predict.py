"""``momok predict``: what it prints, what it writes, what it refuses."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from momok.cli import main
from momok.graph import MultimodalGraph, Vocabulary
from momok.prediction import Predictor
from momok.training import RunFolder
from tests.prediction.trained_run import train_small_run

HOSTILE = ("[red]alert[/red]", "esc\x1b[31mred", "\u202egnp.exe", "[/]", ":boom:", 'a,"b"', "-k")


@pytest.fixture(scope="module")
def run(trained: tuple[Path, Result]) -> RunFolder:
    return RunFolder(trained[0])


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on a graph whose labels try to be markup, control codes or options."""
    count = len(HOSTILE)
    train = np.array([(i, 0, (i + 1) % count) for i in range(count)], dtype=np.int64)
    graph = MultimodalGraph(
        name="[bold]hostile",
        entities=Vocabulary(HOSTILE),
        relations=Vocabulary(("[blink]to\x1b[0m",)),
        train=train,
        valid=np.array([(0, 0, 2)], dtype=np.int64),
        test=np.array([(0, 0, 3)], dtype=np.int64),
    )
    return train_small_run(tmp_path_factory.mktemp("runs") / "hostile", graph)


def ask(*arguments: object, columns: int = 100) -> Result:
    environment = {"COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
    return CliRunner().invoke(main, ["predict", *map(str, arguments)], env=environment)


def test_table_shows_rank_score_shares_and_what_is_known(run: RunFolder) -> None:
    N = run.load_graph().num_entities
    question = (run.path, "--tail", "city:FR/Paris", "--relation", "capital", "-k", N)
    result = ask(*question, columns=110)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].strip() == "? — capital → Paris"
    header = next(line for line in lines if "score" in line)
    assert header.split() == ["#", "head", "score", "prob.", "structure", "image", "text", "known"]
    expected = Predictor(run).predict(tail="city:FR/Paris", relation="capital", k=N)
    france = next(p for p in expected if p.name == "France")
    row = next(line for line in lines if " France " in line).split()
    assert row[0] == str(france.rank)
    assert row[2] == f"{france.score:.4f}"
    assert row[-4:-1] == [f"{100 * share:.0f}%" for share in france.shares.values()]
    assert row[-1] == "train"
    assert "Hamilton (city:CA/Hamilton)" in result.stdout.replace("\n", " ")
    assert "leading expert of the query: structure " in result.stdout
    assert "1 answer is a fact the graph has already" in result.stdout


def test_share_of_an_absent_modality_is_in_brackets(run: RunFolder) -> None:
    result = ask(run.path, "--head", "France", "--relation", "capital", "-k", 2000)
    row = next(line for line in result.stdout.splitlines() if " Paris " in line)
    assert row.count("%)") == 1  # a city has no flag
    assert "(%): the answer has no image of its own" in result.stdout


def test_the_shares_are_those_of_the_prediction(run: RunFolder) -> None:
    question = (run.path, "--head", "France", "--relation", "capital", "-k", 2000)
    lines = ask(*question, columns=130).stdout.splitlines()
    header = next(line for line in lines if "score" in line).split()
    assert header[-4:] == ["structure", "image", "text", "known"]
    predictions = Predictor(run).predict(head="France", relation="capital", k=2000)
    paris = next(p for p in predictions if p.name == "Paris")
    *_, structure, image, text, _ = next(line for line in lines if " Paris " in line).split()
    shown = [share.strip("()") for share in (structure, image, text)]
    assert shown == [f"{100 * share:.0f}%" for share in paris.shares.values()]


def test_nothing_is_cut_at_80_columns(trained: tuple[Path, Result]) -> None:
    shown = ask(trained[0], "--head", "France", "--relation", "borders", columns=80).stdout
    assert max(map(len, shown.splitlines())) <= 80
    header = next(line for line in shown.splitlines() if "score" in line)
    assert header.split()[-1] == "known"
    assert any(line.split()[-1:] == ["train"] for line in shown.splitlines())


def test_narrow_terminals_lose_the_bar_only(hostile_run: RunFolder) -> None:
    # few entities: scores are large enough to be seen
    question = (hostile_run.path, "--head", 'a,"b"', "--relation", "[blink]to\x1b[0m", "-k", 3)
    wide, narrow = ask(*question), ask(*question, columns=60)
    assert "█" in wide.stdout
    assert "█" not in narrow.stdout
    assert max(map(len, narrow.stdout.splitlines())) <= 60
    assert "structure" in narrow.stdout


def test_json_is_the_python_result_and_nothing_else(run: RunFolder) -> None:
    result = ask(run.path, "--head", "France", "--relation", "borders", "--format", "json")
    value = json.loads(result.stdout)
    expected = Predictor(run).predict(head="France", relation="borders").to_json()
    about = {"format": "momok-predictions", "version": 1, "graph": "world"}
    assert (
        value
        == about
        | {"run": str(run.path), "known": "mark", "plausible": False, "among": None}
        | expected
    )
    assert set(value["query"]) == {"head", "relation", "tail", "present", "experts"}
    assert value["query"]["head"] == {"label": "country:FR", "name": "France"}
    assert value["query"]["tail"] is None
    first = value["predictions"][0]
    keys = ["rank", "label", "name", "score", "known", "heads", "shares", "present"]
    assert list(first) == [*keys, "probability", "head_probabilities"]
    assert list(first["heads"]) == ["structure", "image", "text", "joint"]
    assert result.stderr == ""


def test_csv_has_a_column_per_head_and_share(run: RunFolder) -> None:
    result = ask(
        run.path, "--head", "France", "--relation", "borders", "-k", 5000, "--format", "csv"
    )
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    expected = Predictor(run).predict(head="France", relation="borders", k=5000)
    assert len(rows) == len(expected)
    for row, prediction in zip(rows, expected, strict=True):
        assert row["label"] == prediction.label
        assert float(row["score"]) == pytest.approx(prediction.score, abs=1e-6)
        assert row["known"] == (prediction.known or "")
        assert float(row["head_joint"]) == pytest.approx(prediction.heads["joint"], abs=1e-6)
        assert float(row["share_image"]) == pytest.approx(prediction.shares["image"], abs=1e-6)
    assert list(rows[0])[5:] == [
        *("head_structure", "head_image", "head_text", "head_joint"),
        *("share_structure", "share_image", "share_text"),
        "probability",
    ]


def test_known_facts_can_be_hidden(run: RunFolder) -> None:
    result = ask(
        run.path, "--tail", "city:FR/Paris", "--relation", "capital", "-k", 5000,
        "--known", "hide", "--format", "csv",
    )  # fmt: skip
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == run.load_graph().num_entities - 2  # neither France nor Paris
    assert "country:FR" not in {row["label"] for row in rows}


def test_answers_of_another_kind_can_be_left_out(run: RunFolder) -> None:
    question = ("--head", "France", "--relation", "borders", "-k", 5000)
    graph = run.load_graph()
    borders = graph.find_relation("borders")
    of_train = {graph.entities.labels[t] for _, r, t in graph.train.tolist() if r == borders}
    found = json.loads(ask(run.path, *question, "--plausible", "--format", "json").stdout)
    assert found["plausible"] is True
    labels = {answer["label"] for answer in found["predictions"]}
    assert labels == of_train - {"country:FR"}
    every = json.loads(ask(run.path, *question, "--format", "json").stdout)
    assert len(every["predictions"]) == graph.num_entities - 1


@pytest.mark.parametrize("name", ["answers.json", "answers.csv", "answers.txt"])
def test_output_goes_into_a_file_by_its_ending(run: RunFolder, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("old")
    result = ask(run.path, "--head", "France", "--relation", "borders", "--out", path)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "10 predictions written to" in result.stderr
    text = path.read_text(encoding="utf-8")
    starts = {".json": "{\n", ".csv": "rank,label,", ".txt": "France — borders → ?\n"}
    assert text.startswith(starts[path.suffix])
    assert list(tmp_path.iterdir()) == [path]


def test_output_that_cannot_be_written(run: RunFolder, tmp_path: Path) -> None:
    result = ask(run.path, "--head", "France", "--relation", "borders", "--out", tmp_path)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"momok: {tmp_path}: could not be written")


@pytest.mark.parametrize("head", HOSTILE)
def test_hostile_labels_are_only_text(hostile_run: RunFolder, head: str) -> None:
    # A label may look like an option: --head=-k
    question = (hostile_run.path, f"--head={head}", "--relation", "[blink]to\x1b[0m", "-k", 99)
    table = ask(*question)
    assert table.exit_code == 0, table.output
    assert table.stdout.replace("\n", "").isprintable()
    for shown in ("[red]alert[/red]", "esc\\x1b[31mred", "\\u202egnp.exe", "[/]", ":boom:"):
        assert shown in table.stdout  # itself in the question, the others in answers
    as_json = ask(*question, "--format", "json")
    assert as_json.stdout.replace("\n", "").isprintable()
    labels = [p["label"] for p in json.loads(as_json.stdout)["predictions"]]
    assert sorted(labels) == sorted(set(HOSTILE) - {head})
    as_csv = ask(*question, "--format", "csv")
    rows = csv.DictReader(io.StringIO(as_csv.stdout))
    assert [row["label"] for row in rows] == labels


def test_nothing_left_to_predict(hostile_run: RunFolder, tmp_path: Path) -> None:
    graph = hostile_run.load_graph()
    N = graph.num_entities
    everything = MultimodalGraph(
        name="full",
        entities=graph.entities,
        relations=graph.relations,
        train=np.array([(0, 0, tail) for tail in range(N)], dtype=np.int64),
        valid=np.array([(1, 0, 0)], dtype=np.int64),
        test=np.array([(2, 0, 0)], dtype=np.int64),
    )
    run = train_small_run(tmp_path / "run", everything)
    result = ask(run.path, f"--head={HOSTILE[0]}", "--relation", "[blink]to\x1b[0m", "--known=hide")
    assert result.exit_code == 0, result.output
    assert "No answers: every candidate is a known fact, or not plausible" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--head", "Frnace", "--relation", "borders"), "no entity 'Frnace'; did you mean"),
        (("--head", "France", "--relation", "bordrs"), "did you mean borders"),
        (("--head", "Hamilton", "--relation", "city in"), "give one of the labels"),
        (("--relation", "borders"), "give exactly two of --head, --relation and --tail"),
        (("--head", "a", "--tail", "b", "--relation", "c"), "give exactly two of"),
        (("--head", "France", "--relation", "borders", "-k", "0"), "0 is not in the range"),
        (("--head", "France"), "give exactly two of"),
    ],
)
def test_mistakes_are_one_line(run: RunFolder, arguments: tuple[str, ...], message: str) -> None:
    result = ask(run.path, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.startswith("momok: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_missing_run_is_one_line(tmp_path: Path) -> None:
    result = ask(tmp_path / "none", "--head", "France", "--relation", "borders")
    assert result.exit_code == 2
    assert result.stderr == f"momok: {tmp_path}/none: no such run folder; momok train makes one\n"


def test_help_teaches_by_examples() -> None:
    result = ask("--help")
    assert "momok predict RUN --head France --relation borders\n" in result.stdout
    assert "--known hide" in result.stdout
    assert "They explain the" in result.stdout


def test_as_a_process(run: RunFolder) -> None:
    question = ["--head", "France", "--relation", "borders", "-k", "3", "--format", "json"]
    done = subprocess.run(
        [sys.executable, "-m", "momok", "predict", str(run.path), *question],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)["predictions"]) == 3


# -- relations, and tables of questions --------------------------------------------------------


def test_relations_between_two_entities(run: RunFolder) -> None:
    result = ask(run.path, "--head", "France", "--tail", "Germany", "-k", 4)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].strip() == "France — ? → Germany"
    expected = Predictor(run).predict_relations("France", "Germany", k=4)
    for prediction in expected:
        assert prediction.name in result.stdout
    result = ask(run.path, "--head", "France", "--tail", "Germany", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert rows[0]["label"] == expected[0].label
    result = ask(run.path, "--head", "France", "--tail", "Germany", "--format", "json")
    assert json.loads(result.stdout)["query"]["relation"] is None


def test_a_table_of_questions(run: RunFolder, tmp_path: Path) -> None:
    questions, out = tmp_path / "q.csv", tmp_path / "a.jsonl"
    questions.write_text("head,relation,tail\nFrance,borders,\n,capital,city:FR/Paris\n")
    result = ask(run.path, "--questions", questions, "-k", 2, "--out", out)
    assert result.exit_code == 0, result.output
    assert result.stderr.split() == [
        "2",
        "rows",
        "answered,",
        "4",
        "lines",
        "written",
        "to",
        str(out),
    ]
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    best = Predictor(run).predict(head="France", relation="borders", k=2)
    assert [row["tail"] for row in rows[:2]] == [p.label for p in best]
    shown = ask(run.path, "--questions", questions, "-k", 2)
    assert len(list(csv.DictReader(io.StringIO(shown.stdout)))) == 4


def test_a_table_of_facts(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "f.tsv").write_text("France\tborders\tGermany\n")
    result = ask(run.path, "--questions", tmp_path / "f.tsv")
    [row] = csv.DictReader(io.StringIO(result.stdout))
    assert (row["known"], row["head"]) == ("train", "country:FR")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--head", "France"], "give exactly two of --head, --relation and --tail"),
        (["--head", "a", "--relation", "b", "--tail", "c"], "give exactly two"),
        (
            ["--head", "France", "--tail", "Peru", "--plausible"],
            "--plausible and --among are of entities",
        ),
        (["--questions", "q.csv", "--head", "France"], "--questions stands for --head"),
        (["--questions", "nowhere.csv"], "nowhere.csv: the file is missing"),
        (["--questions", "q.csv", "--out", "a.xlsx"], "a.xlsx: answers are written as .csv"),
    ],
)
def test_questions_that_cannot_be_asked(run: RunFolder, options: list[str], message: str) -> None:
    result = ask(run.path, *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_answers_of_a_type_or_a_list(run: RunFolder, tmp_path: Path) -> None:
    question = (run.path, "--head", "France", "--relation", "borders", "--format", "csv")
    (tmp_path / "list.txt").write_text("Japan\n\n  Peru \n")
    rows = list(
        csv.DictReader(io.StringIO(ask(*question, "--among", tmp_path / "list.txt").stdout))
    )
    assert {row["name"] for row in rows} == {"Japan", "Peru"}
    rows = list(csv.DictReader(io.StringIO(ask(*question, "--among", "city").stdout)))
    assert all(row["label"].startswith("city:") for row in rows)
    assert rows == list(csv.DictReader(io.StringIO(ask(*question, "--among-tails", "city").stdout)))
    result = ask(*question, "--among-heads", "city")
    assert result.exit_code == 2
    assert "--among-heads is of heads, and this question asks for a tail" in result.stderr
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    result = ask(*question, "--among", tmp_path / "list.txt")
    assert result.exit_code == 2
    assert "expected labels or names in UTF-8, one a line" in result.stderr
    result = ask(*question, "--among", "./nowhere.txt")
    assert result.exit_code == 2
    assert "./nowhere.txt: there is no such file" in result.stderr


def test_a_file_that_is_called_as_a_type_is_asked_for_as_a_path(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    question = (run.path.resolve(), "--head", "France", "--relation", "borders", "--format", "csv")
    monkeypatch.chdir(tmp_path)
    Path("city").write_text("Japan\n")
    result = ask(*question, "--among", "city")
    assert all(
        row["label"].startswith("city:") for row in csv.DictReader(io.StringIO(result.stdout))
    )
    assert result.stderr == "city: taken as the type of entities; ./city would be the file\n"
    result = ask(*question, "--among", "./city")
    assert [row["name"] for row in csv.DictReader(io.StringIO(result.stdout))] == ["Japan"]
    assert not result.stderr
