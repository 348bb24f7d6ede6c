"""Malformed sources: each is one clear line with its place, exit 2, and nothing is left behind."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from momok.cli import main

GOOD = "a,r,b\nb,r,c\nc,r,a\na,s,c\n" * 2


def write(**files: str | bytes) -> Callable[[Path], None]:
    """Writes files, by names in which ``__`` stands for a dot and ``_in_`` for a folder."""

    def make(folder: Path) -> None:
        for name, content in files.items():
            path = folder / name.replace("_in_", "/").replace("__", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    return make


def parquet(**columns: list[object]) -> bytes:
    buffer = io.BytesIO()
    pl.DataFrame(columns).write_parquet(buffer)
    return buffer.getvalue()


def zipped(**members: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


FULL = parquet(head=["a"] * 50, relation=["r"] * 50, tail=["b"] * 50)
OPENKE = {
    "k_in_entity2id__txt": "3\na\t0\nb\t1\nc\t2\n",
    "k_in_relation2id__txt": "2\nr\t0\ns\t1\n",
    "k_in_train2id__txt": "3\n0 1 0\n1 2 0\n2 0 1\n",
    "k_in_valid2id__txt": "1\n0 2 0\n",
    "k_in_test2id__txt": "1\n1 0 0\n",
}
MYGO = {
    "g_in_entities__txt": "a\nb\nc\n",
    "g_in_relations__txt": "r\ns\n",
    "g_in_train__txt": "0\t0\t1\n1\t0\t2\n2\t1\t0\n",
    "g_in_valid__txt": "0\t0\t2\n",
    "g_in_test__txt": "1\t0\t0\n",
}


def openke(**changed: str | bytes) -> Callable[[Path], None]:
    return write(**(OPENKE | {f"k_in_{name}__txt": text for name, text in changed.items()}))


def mygo(**changed: str | bytes) -> Callable[[Path], None]:
    return write(**(MYGO | {f"g_in_{name}__txt": text for name, text in changed.items()}))


def linked(folder: Path) -> None:
    (folder / "loop").symlink_to(folder / "loop")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "facts.csv")


CASES: dict[str, tuple[Callable[[Path], None], str, str]] = {
    # what is there, what is asked, and what must be said
    "missing": (write(), "facts.csv", "facts.csv: there is no such file or folder"),
    "nothing asked": (write(), "", "nothing to build from"),
    "empty": (write(f__csv=""), "f.csv", "f.csv: is empty"),
    "blank lines": (write(f__csv="\n \n\t\r\n"), "f.csv", "f.csv: is empty"),
    "a mark alone": (write(f__csv=b"\xef\xbb\xbf\n"), "f.csv", "f.csv: "),
    "utf-16": (write(f__csv="a,r,b\n".encode("utf-16")), "f.csv", "f.csv:1: is UTF-16"),
    "latin-1": (
        write(f__csv="a,r,b\nc,r,Zürich\n".encode("latin-1")),
        "f.csv",
        "f.csv:2: byte 0xfc is not UTF-8",
    ),
    "binary": (write(f__csv=b"\x7fELF\0\0\n"), "f.csv", "f.csv:1: byte 0x00"),
    "old mac": (write(f__csv="a,r,b\rc,r,d\r"), "f.csv", "f.csv:1: lines end with carriage"),
    "one column": (write(f__csv="a\nb\n"), "f.csv", "f.csv:1: neither tabs"),
    "two columns": (write(f__csv="a,b\nc,d\n"), "f.csv", "f.csv:1: neither tabs"),
    "four columns": (write(f__csv="a,r,b,1\n"), "f.csv", "f.csv:1: 4 columns"),
    "wrong delimiter": (write(f__csv=GOOD), "f.csv --delimiter ;", "f.csv:1: ';' separates it"),
    "long delimiter": (write(f__csv=GOOD), "f.csv --delimiter ab", "--delimiter 'ab'"),
    "header alone": (write(f__csv="head,relation,tail\n"), "f.csv", "f.csv: has a header and no"),
    "header said": (write(f__csv="x,y,z\n"), "f.csv --header", "f.csv: has a header and no fact"),
    "open quote": (write(f__csv='a,r,b\n"c,r,d\n'), "f.csv", "f.csv:2: a quote is opened here"),
    "blank heads": (write(f__csv=",r,b\n,r,c\n"), "f.csv", "f.csv: has no fact"),
    "ragged": (write(f__csv="a,r,b\n" + "a,r\n" * 3), "f.csv --delimiter ,", "f.csv:1: "),
    "most lines short": (
        write(f__csv="a,r,b\n" * 100 + "x,y\n" * 101 + "a,r,b\n" * 99 + "x\n" * 200),
        "f.csv",
        "f.csv:101: expected 3 columns, found 2: 'x | y'; 301 of 500",
    ),
    "splits said": (write(k_in_readme__txt="x"), "k --format splits", "k: has no facts: expected"),
    "durations": (
        write(
            f__csv=GOOD,
            t__parquet=parquet(id=["a", "b"], long=[timedelta(1), timedelta(2)]),  # type: ignore[list-item]
        ),
        "f.csv --entities t.parquet",
        "t.parquet: the column 'long' holds Duration",
    ),
    "strict": (write(f__csv=GOOD + "x,y\n"), "f.csv --strict", "f.csv:9: expected 3 columns"),
    "strict blank": (write(f__csv=GOOD + "x,,y\n"), "f.csv --strict", "f.csv:9: the relation is"),
    "unknown column": (
        write(f__csv="who,what,whom,n\na,r,b,1\n"),
        "f.csv --columns who,wat,whom",
        "f.csv:1: there is no column 'wat'; did you mean what",
    ),
    "two columns said": (
        write(f__csv=GOOD),
        "f.csv --columns 1,2",
        "--columns 1,2: expected three",
    ),
    "column 9": (write(f__csv=GOOD), "f.csv --columns 1,2,9", "f.csv:1: --columns 1,2,9"),
    "column 0": (write(f__csv=GOOD), "f.csv --columns 0,1,2", "f.csv:1: --columns 0,1,2"),
    "column twice": (write(f__csv=GOOD), "f.csv --columns 1,2,1", "three different columns"),
    "damaged gzip": (
        write(f__csv__gz=gzip.compress(GOOD.encode() * 99)[:40]),
        "f.csv.gz",
        "f.csv.gz: the gzip stream ends early",
    ),
    "no gzip": (write(f__csv__gz=b"\x1f\x8bnot"), "f.csv.gz", "f.csv.gz: "),
    "zip of two": (
        write(f__zip=zipped(a__csv=GOOD, b__csv=GOOD)),
        "f.zip",
        "f.zip: holds 2 files",
    ),
    "no parquet": (write(f__parquet=GOOD), "f.parquet", "f.parquet: is no Parquet file"),
    "cut parquet": (write(f__parquet=FULL[:-9]), "f.parquet", "f.parquet: is no Parquet file"),
    "corrupt parquet": (
        write(f__parquet=FULL[:4] + b"\xff" * (len(FULL) - 12) + FULL[-8:]),
        "f.parquet",
        "f.parquet: is a corrupt Parquet file",
    ),
    "parquet without rows": (
        write(f__parquet=parquet(head=[], relation=[], tail=[])),
        "f.parquet",
        "f.parquet: has columns and no row",
    ),
    "parquet with lists": (
        write(f__parquet=parquet(head=[["a"]], relation=["r"], tail=["b"])),
        "f.parquet",
        "f.parquet: the column 'head' holds List",
    ),
    "parquet of nulls": (
        write(f__parquet=parquet(head=[None], relation=["r"], tail=["b"])),
        "f.parquet",
        "f.parquet: has no fact",
    ),
    "too few facts": (write(f__csv="a,r,b\n"), "f.csv", "1 facts cannot be split"),
    "a tree": (write(f__csv="a,r,b\na,r,c\na,r,d\n"), "f.csv", "3 facts cannot be split"),
    "ratio": (write(f__csv=GOOD), "f.csv --ratio 80/20", "--ratio '80/20'"),
    "ratio of nothing": (write(f__csv=GOOD), "f.csv --ratio 1/0/1", "ratio 1/0/1"),
    "seed": (write(f__csv=GOOD), "f.csv --seed -1", "'--seed': -1 is not in the range"),
    "format": (write(f__csv=GOOD), "f.csv --format openke", "f.csv: is a file; the format openke"),
    "folder format": (write(d_in_x__csv=GOOD), "d --format table", "d: is a folder"),
    "unknown folder": (write(d_in_x__csv=GOOD), "d", "d: holds no graph that is known here"),
    "empty folder": (lambda folder: (folder / "d").mkdir(), "d", "it has nothing"),
    "two trains": (
        write(d_in_train__csv=GOOD, d_in_train__tsv=GOOD),
        "d",
        "both train.csv and train.tsv may be the train facts",
    ),
    "a loop": (linked, "loop", "loop: there is no such file or folder"),
    "a pipe": (pipe, "facts.csv", "facts.csv: is no ordinary file"),
    "no entities": (write(f__csv=GOOD), "f.csv --entities e.csv", "e.csv: the file is missing"),
    "other entities": (
        write(f__csv=GOOD, e__csv="id,name\nx,X\n"),
        "f.csv --entities e.csv",
        "e.csv: no value of 'id' or 'name' is an entity of the facts",
    ),
    "no pictures": (write(f__csv=GOOD), "f.csv --pictures p", "p: there is no such folder"),
    "no reviews": (write(f__csv=GOOD), "f.csv --with-reviews r.tsv", "r.tsv: there is no such"),
    "openke: no entities": (
        write(**{k: v for k, v in OPENKE.items() if "entity" not in k}),
        "k",
        "entity2id.txt: the file is missing",
    ),
    "openke: empty dictionary": (openke(entity2id=""), "k", "entity2id.txt: lists nothing"),
    "openke: no id": (openke(entity2id="2\na\t0\nb\n"), "k", "entity2id.txt:3: expected a label"),
    "openke: label twice": (
        openke(entity2id="2\na\t0\na\t1\n"),
        "k",
        "entity2id.txt:3: 'a' has an id already, on line 2",
    ),
    "openke: id twice": (openke(entity2id="2\na\t0\nb\t0\n"), "k", "entity2id.txt:3: the id 0"),
    "openke: a gap": (openke(entity2id="2\na\t0\nb\t2\n"), "k", "and none has the id 1"),
    "openke: no count": (openke(train2id="0 1 0\n"), "k", "train2id.txt:1: expected the number"),
    "openke: count alone": (openke(train2id="0\n"), "k", "train2id.txt: has no fact"),
    "openke: labels": (openke(train2id="1\na b r\n"), "k", "train2id.txt:2: 'a b r'"),
    "openke: unknown ids": (openke(train2id="1\n0 9 0\n"), "k", "train2id.txt:2: '0 9 0'"),
    "openke: other order": (openke(train2id="1\n0 1 2\n"), "k", "the columns are in another order"),
    "openke: negative": (openke(train2id="1\n0 -1 0\n"), "k", "train2id.txt:2: '0 -1 0'"),
    "openke: huge": (openke(train2id=f"1\n0 {10**30} 0\n"), "k", "train2id.txt:2: "),
    "openke: strict count": (openke(test2id="5\n1 0 0\n"), "k --strict", "test2id.txt:1: 5"),
    "openke: not UTF-8": (openke(entity2id=b"1\n\xff\t0\n"), "k", "entity2id.txt:2: byte 0xff"),
    "mygo: a blank label": (mygo(entities="a\n\nc\n"), "g", "entities.txt:2: expected a label"),
    "mygo: label twice": (mygo(entities="a\nb\na\n"), "g", "entities.txt:3: 'a' has an id already"),
    "mygo: empty list": (mygo(relations=""), "g", "relations.txt: lists nothing"),
    "mygo: no relations": (
        write(**{k: v for k, v in MYGO.items() if "relations" not in k}),
        "g",
        "relations.txt: the file is missing",
    ),
    "mygo: no test": (
        write(**{k: v for k, v in MYGO.items() if "test" not in k}),
        "g",
        "test.txt: the file is missing",
    ),
    "mygo: unknown ids": (mygo(train="7\t8\t9\n"), "g", "train.txt: no fact has labels"),
    "mygo: two columns": (mygo(valid="0\t1\n"), "g", "valid.txt:1: neither tabs"),
    "mygo: another dictionary": (
        mygo(entities="0\n1\n2\n", entity2id="a 0\nb 1\n"),
        "g",
        "entity2id.txt: lists 2 labels for the 3 ids",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_is_one_clear_line(case: str, tmp_path: Path, monkeypatch) -> None:
    make, asked, said = CASES[case]
    monkeypatch.chdir(tmp_path)
    make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(main, ["data", "build", *asked.split(), "--out", "out"])
    assert isinstance(result.exception, SystemExit), result.exc_info
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    [line] = result.stderr.splitlines()
    assert line.startswith("momok: ")
    assert said in line
    assert len(line) < 500
    assert sorted(tmp_path.rglob("*")) == before
