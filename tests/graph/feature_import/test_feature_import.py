"""Vectors from files: every format to the same features, and faults of every format to one line."""

from __future__ import annotations

import csv
import json
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from momok.errors import DataError, FeatureError, MissingExtraError
from momok.graph import Vocabulary, save_features
from momok.graph.feature_import import read_features
from momok.graph.feature_import.files import SUFFIXES, open_vectors
from momok.graph.feature_import.matching import PUBLISHED_FILES, read_labels, read_links, recognise
from tests.graph.small_graph import as_features

LABELS = ("A", "B/b", "C c", "Ä", "http://x.org/E")
ENTITIES = Vocabulary(LABELS)
MATRIX = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
BY_LABEL = dict(zip(LABELS, MATRIX, strict=True))


def _write_csv(path, rows, header=None):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writerows([*([header] if header else []), *rows])


def _write_h5(path, content):
    h5py = pytest.importorskip("h5py", reason="the extra 'hdf5' is not installed")
    with h5py.File(path, "w") as file:
        for name, value in content.items():
            file[name] = value


def _write_parquet(path, columns):
    polars = pytest.importorskip("polars", reason="the extra 'data' is not installed")
    polars.DataFrame(columns).write_parquet(path)


def _numbers(row):
    return [repr(float(value)) for value in row]


KEYED = {
    "dict.pkl": lambda p: p.write_bytes(pickle.dumps(BY_LABEL)),
    "bytes.pkl": lambda p: p.write_bytes(
        pickle.dumps({k.encode(): v for k, v in BY_LABEL.items()})
    ),
    "lists.pickle": lambda p: p.write_bytes(
        pickle.dumps({k: v.tolist() for k, v in BY_LABEL.items()})
    ),
    "dict.pt": lambda p: torch.save({k: torch.tensor(v) for k, v in BY_LABEL.items()}, p),
    "rows.pth": lambda p: torch.save({k: torch.tensor(v)[None] for k, v in BY_LABEL.items()}, p),
    "bracketed.pth": lambda p: torch.save({f"<{k}>": v for k, v in BY_LABEL.items()}, p),
    "pair.pth": lambda p: torch.save({"x": torch.tensor(MATRIX), "names": list(LABELS)}, p),
    "dict.npy": lambda p: np.save(p, BY_LABEL, allow_pickle=True),
    "pair.npz": lambda p: np.savez(p, labels=np.array(LABELS), vectors=MATRIX),
    "small.npz": lambda p: np.savez_compressed(p, labels=np.array(LABELS), vectors=MATRIX),
    "dict.safetensors": lambda p: save_file(BY_LABEL, p),
    "dict.h5": lambda p: _write_h5(p, BY_LABEL),
    "pair.hdf5": lambda p: _write_h5(p, {"labels": list(LABELS), "vectors": MATRIX}),
    "plain.csv": lambda p: _write_csv(p, [[k, *_numbers(v)] for k, v in BY_LABEL.items()]),
    "header.tsv": lambda p: _write_csv(
        p, [[k, *_numbers(v)] for k, v in BY_LABEL.items()], ["entity", "x", "y", "z"]
    ),
    "columns.parquet": lambda p: _write_parquet(
        p, {"label": LABELS, **{f"v{i}": MATRIX[:, i] for i in range(3)}}
    ),
    "lists.parquet": lambda p: _write_parquet(p, {"id": LABELS, "vector": MATRIX.tolist()}),
}
MATRICES = {
    "m.npy": lambda p: np.save(p, MATRIX),
    "m64.npy": lambda p: np.save(p, MATRIX.astype(np.float64)),
    "columns.npy": lambda p: np.save(p, np.asfortranarray(MATRIX)),
    "m.npz": lambda p: np.savez(p, MATRIX),
    "m.pth": lambda p: torch.save(torch.tensor(MATRIX), p),
    "legacy.pth": lambda p: torch.save(
        torch.tensor(MATRIX), p, _use_new_zipfile_serialization=False
    ),
    "alone.pt": lambda p: torch.save({"weight": torch.tensor(MATRIX)}, p),
    "array.pth": lambda p: torch.save(MATRIX, p),
    "deep.pt": lambda p: torch.save(torch.tensor(MATRIX)[:, None, :], p),
    "list.pkl": lambda p: p.write_bytes(pickle.dumps(MATRIX.tolist())),
    "rows.pkl": lambda p: p.write_bytes(pickle.dumps(list(MATRIX))),
    "ids.pkl": lambda p: p.write_bytes(pickle.dumps({i: MATRIX[i] for i in (3, 1, 0, 4, 2)})),
    "m.safetensors": lambda p: save_file({"m": MATRIX}, p),
    "m.h5": lambda p: _write_h5(p, {"m": MATRIX}),
    "m.csv": lambda p: _write_csv(p, [_numbers(row) for row in MATRIX]),
    "header.csv": lambda p: _write_csv(p, [_numbers(row) for row in MATRIX], ["x", "y", "z"]),
    "m.parquet": lambda p: _write_parquet(p, {f"v{i}": MATRIX[:, i] for i in range(3)}),
}


@pytest.mark.parametrize("name", KEYED)
def test_keyed_formats(tmp_path, name):
    KEYED[name](tmp_path / name)
    imported = read_features(tmp_path / name, ENTITIES, modality="image")
    assert np.array_equal(imported.features.matrix, MATRIX)
    assert imported.features.present.all()
    manifest = imported.features.manifest
    assert manifest.settings["order"] == "keyed"
    assert manifest.settings["file"] == name
    assert len(manifest.settings["sha256"]) == 64
    assert manifest.counts == {"entities": 5, "imported": 5, "unmatched": 0}


@pytest.mark.parametrize("name", KEYED)
def test_keys_name_rows_whatever_their_order(tmp_path, name):
    KEYED[name](tmp_path / name)
    others = Vocabulary((LABELS[3], "nobody", LABELS[0]))
    imported = read_features(tmp_path / name, others, modality="image")
    assert np.array_equal(imported.features.matrix, [MATRIX[3], [0, 0, 0], MATRIX[0]])
    assert imported.features.present.tolist() == [True, False, True]
    left = {label.strip("<>") for label in imported.features.unmatched}
    merged = LABELS[4].replace("//", "/")  # as HDF5 writes it
    assert left in ({*LABELS[1:3], LABELS[4]}, {*LABELS[1:3], merged})


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_need_an_order(tmp_path, name):
    path = tmp_path / name
    MATRICES[name](path)
    with pytest.raises(FeatureError, match=r"--order entity2id"):
        read_features(path, ENTITIES, modality="image")
    imported = read_features(path, ENTITIES, modality="image", order="entity2id")
    assert np.array_equal(imported.features.matrix, MATRIX)
    assert any("row 1 is 'A'" in said for said in imported.assumed)


def test_labels_of_rows(tmp_path):
    np.save(tmp_path / "m.npy", MATRIX[:3])
    (tmp_path / "rows.txt").write_text("<Ä>\nnobody\r\nA\n", encoding="utf-8")
    imported = read_features(
        *(tmp_path / "m.npy", ENTITIES),
        modality="image", labels=tmp_path / "rows.txt",
    )  # fmt: skip
    expected = np.zeros((5, 3))
    expected[3], expected[0] = MATRIX[0], MATRIX[2]
    assert np.array_equal(imported.features.matrix, expected.astype(np.float32))
    assert imported.features.unmatched == ("nobody",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\n", ("a", "b")),
        ("a 1\nb 0\n", ("b", "a")),
        ("2\na\t0\nb c\t1\n", ("a", "b c")),
        ("<http://x> 0\n<http://y> 1\n", ("http://x", "http://y")),
        ("a 1 x\nb\n", ("a 1 x", "b")),
    ],
)
def test_lists_of_labels(tmp_path, text, expected):
    (tmp_path / "l.txt").write_text(text)
    assert read_labels(tmp_path / "l.txt") == expected


@pytest.mark.parametrize(
    ("text", "message"), [("", "lists no labels"), ("a 0\nb 2\n", "has the id 1")]
)
def test_lists_of_labels_that_are_wrong(tmp_path, text, message):
    (tmp_path / "l.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_labels(tmp_path / "l.txt")


def test_a_modality_of_momok(tmp_path):
    present = np.array([True, False, True, True, True])
    save_features(
        tmp_path, as_features("text", np.where(present[:, None], MATRIX, 0), present), ENTITIES
    )
    imported = read_features(tmp_path / "text.safetensors", ENTITIES, modality="copy")
    assert imported.features.present.tolist() == present.tolist()
    assert np.array_equal(imported.features.matrix[2], MATRIX[2])


def test_several_vectors_are_averaged(tmp_path):
    several = {"A": np.float32([[1, 2], [3, 4], [0, 0]]), "Ä": np.float32([[5, 6]])}
    (tmp_path / "v.pkl").write_bytes(pickle.dumps(several | {"C c": np.zeros((2, 2))}))
    imported = read_features(tmp_path / "v.pkl", ENTITIES, modality="image")
    assert imported.features.matrix[0].tolist() == [2, 3]
    assert imported.features.matrix[3].tolist() == [5, 6]
    assert imported.features.present.tolist() == [True, False, False, True, False]
    assert imported.averaged == 1


def test_zeros_are_vectors_unless_said(tmp_path):
    matrix = MATRIX.copy()
    matrix[1] = 0
    np.save(tmp_path / "m.npy", matrix)
    given_ = {"modality": "image", "order": "entity2id"}
    assert read_features(tmp_path / "m.npy", ENTITIES, **given_).zero_rows == 1
    imported = read_features(tmp_path / "m.npy", ENTITIES, **given_, zeros_absent=True)
    assert imported.zero_rows == 0
    assert imported.features.present.tolist() == [True, False, True, True, True]


class TestPublishedFiles:
    @pytest.mark.parametrize(
        ("name", "modality", "origin"),
        [
            ("img_features.pth", "image", "MoMoK"),
            ("text_features.pth", "text", "MoMoK"),
            ("DB15K-visual.pth", "image", "NativE"),
            ("MKG-W-textual.pth", "text", "NativE"),
            ("DB15K-numeric.pth", "numeric", "NativE"),
        ],
    )
    def test_matrices_in_the_order_of_ids(self, tmp_path, name, modality, origin):
        torch.save(torch.tensor(MATRIX), tmp_path / name)
        imported = read_features(tmp_path / name, ENTITIES)
        assert np.array_equal(imported.features.matrix, MATRIX)
        assert imported.features.manifest.modality == modality
        assert origin in imported.features.manifest.encoder
        assert "entity2id.txt of the same release" in imported.assumed[0]

    def test_another_graph_is_refused(self, tmp_path):
        path = tmp_path / "MKG-W-visual.pth"
        torch.save(torch.tensor(MATRIX), path)
        for own in ("MKG-W", "mkg-w", "my MKG-W copy", ""):
            read_features(path, ENTITIES, graph_name=own)
        with pytest.raises(FeatureError, match="named after MKG-W, and this graph is MKG-Y"):
            read_features(path, ENTITIES, graph_name="MKG-Y")
        read_features(path, ENTITIES, graph_name="MKG-Y", order="entity2id")

    def test_mmrns_by_links(self, tmp_path):
        """Keys are ends of DBpedia addresses, which a file of the release turns into labels."""
        entities = Vocabulary(("Q1", "Q2", "Q3"))
        (tmp_path / "ent_links").write_text(
            "http://dbpedia.org/resource/Ada_Lovelace\tQ2\nhttp://dbpedia.org/resource/AC/DC\tQ1\n"
        )
        path = tmp_path / "MKG_W_description_sentences.h5"
        _write_h5(path, {"Ada_Lovelace": MATRIX[:2], "AC/DC": MATRIX[2:3], "Else": MATRIX[3:]})
        imported = read_features(path, entities, links=tmp_path / "ent_links", graph_name="MKG-W")
        assert imported.features.manifest.modality == "text"
        assert np.allclose(imported.features.matrix[1], MATRIX[:2].mean(0))
        assert np.allclose(imported.features.matrix[0], MATRIX[2])
        assert imported.features.unmatched == ("Else",)
        with pytest.raises(FeatureError, match="give --links"):
            read_features(path, entities)

    def test_mmrns_by_freebase(self, tmp_path):
        uri = "http://dbpedia.org/resource/X"
        (tmp_path / "links.txt").write_text(f"/m/0x1 <SameAs> <{uri}> .\n")
        path = tmp_path / "MMKB_img_BEIT_16-224.h5"
        _write_h5(path, {"m.0x1": MATRIX[:2], "m.0x2": MATRIX[:1], "m.0x3": MATRIX[:1]})
        imported = read_features(path, Vocabulary((uri, "Y")), links=tmp_path / "links.txt")
        assert imported.features.present.tolist() == [True, False]
        assert read_links(tmp_path / "links.txt") == {"/m/0x1": uri}

    def test_names_are_told_apart(self):
        assert recognise("my_features.pth") is None
        assert recognise("img_features.pth.bak") is None
        assert all(published.about for published in PUBLISHED_FILES)


def _edit(path, change):
    path.write_bytes(change(bytearray(path.read_bytes())))


def _write_bomb(path):
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.npy", "w") as f,
    ):
        np.lib.format.write_array_header_1_0(
            f, {"descr": "<f4", "fortran_order": False, "shape": (1, 40 << 20)}
        )
        for _ in range(160):
            f.write(b"\0" * (1 << 20))


def _write_linked(path, how):
    h5py = pytest.importorskip("h5py", reason="the extra 'hdf5' is not installed")
    other = path.with_name("other.h5")
    _write_h5(other, {"secret": MATRIX})
    with h5py.File(path, "w") as file:
        if how == "external":
            file["a"] = h5py.ExternalLink(str(other), "secret")
        elif how == "soft":
            file["a"] = h5py.SoftLink("/b")
        elif how == "storage":
            file.create_dataset("a", (5, 3), "f4", external=[(str(other), 0, 60)])
        else:
            layout = h5py.VirtualLayout((5, 3), "f4")
            layout[:] = h5py.VirtualSource(str(other), "secret", (5, 3))
            file.create_virtual_dataset("a", layout)


def _nan(row):
    matrix = MATRIX.copy()
    matrix[row, 1] = np.nan
    return matrix


FAULTS = {
    # name: (how to write it, what the line must say)
    "gone.npy": (lambda _p: None, "no such file"),
    "v.doc": (lambda p: p.write_text("1 2 3"), "not read from .doc; expected .npy"),
    "v.txt": (
        lambda p: p.write_text("A 1 2\nB/b 1\n"),
        "expected a label and 2 numbers, found 'B/b",
    ),
    "v.vec": (lambda p: p.write_text("5 3\n"), "holds no lines of a label and numbers"),
    "two.h5": (lambda p: _write_h5(p, {"x": MATRIX, "y": MATRIX}), "holds 2 matrices, x and y"),
    "empty.npy": (lambda p: p.write_bytes(b""), "corrupt, truncated or no .npy"),
    "cut.npy": (lambda p: (np.save(p, MATRIX), _edit(p, lambda b: b[:-9])), "corrupt, truncated"),
    "magic.npy": (lambda p: (np.save(p, MATRIX), _edit(p, lambda b: b"XX" + b)), "corrupt, trunc"),
    "flat.npy": (lambda p: np.save(p, MATRIX.ravel()), r"shape \[15\], expected \[rows, width\]"),
    "cube.npy": (lambda p: np.save(p, np.zeros((5, 2, 2))), r"shape \[5, 2, 2\]"),
    "none.npy": (lambda p: np.save(p, np.zeros((0, 3))), r"shape \[0, 3\]"),
    "few.npy": (
        lambda p: np.save(p, MATRIX[:4]),
        "4 rows of width 3 for 5 labels of entities; .* another",
    ),
    "many.npy": (lambda p: np.save(p, np.ones((6, 3))), "6 rows of width 3 for 5 labels"),
    "wide.npy": (lambda p: np.save(p, np.ones((5, 70_000), np.float16)), "rows of 70,000 numbers"),
    "texts.npy": (lambda p: np.save(p, np.full((5, 3), "x")), "holds <U1 values, expected numbers"),
    "complex.npy": (lambda p: np.save(p, MATRIX + 1j), "complex64 values, expected numbers"),
    "dates.npy": (lambda p: np.save(p, np.zeros((5, 3), "M8[D]")), "values, expected numbers"),
    "nan.npy": (lambda p: np.save(p, _nan(3)), r"vector of 'Ä' holds NaN .*\(1 such"),
    "infinite.npy": (lambda p: np.save(p, MATRIX / 0), "vector of 'A' holds NaN or infinity"),
    "huge.npy": (lambda p: np.save(p, np.full((5, 3), 1e300)), "value beyond float32"),
    "empty.npz": (np.savez, "holds an empty dict"),
    "cut.npz": (lambda p: (np.savez(p, MATRIX), _edit(p, lambda b: b[:-30])), "corrupt, truncated"),
    "bomb.npz": (_write_bomb, "would unpack to .* taken for a bomb"),
    "evil.npz": (
        lambda p: np.savez(p, a=np.array([{}], dtype=object), allow_pickle=True),
        "holds objects",
    ),
    "names.npz": (
        lambda p: np.savez(p, labels=np.array(["A", "A", "B/b", "Ä", "C c"]), vectors=MATRIX),
        "has two rows for 'A'",
    ),
    "cut.pth": (lambda p: (torch.save(MATRIX, p), _edit(p, lambda b: b[:-60])), "is corrupt"),
    "state.pth": (
        lambda p: torch.save(torch.nn.Linear(3, 5).state_dict() | {"x": torch.ones(2)}, p),
        "none of its 3 labels .*'weight'.* names an entity",
    ),
    "model.pth": (lambda p: torch.save(torch.nn.Linear(3, 5), p), "refused: it holds torch.nn"),
    "script.pt": (
        lambda p: torch.jit.script(torch.nn.Linear(3, 5)).save(str(p)),
        "TorchScript program|data.pkl",
    ),
    "other.pth": (
        lambda p: zipfile.ZipFile(p, "w").writestr("a.txt", "x"),
        "not one of torch.save",
    ),
    "number.pkl": (
        lambda p: p.write_bytes(pickle.dumps(7)),
        "holds the number 7, expected a matrix",
    ),
    "text.pkl": (lambda p: p.write_bytes(pickle.dumps("hi")), "holds the text 'hi'"),
    "ragged.pkl": (
        lambda p: p.write_bytes(pickle.dumps([[1.0], [1.0, 2.0]])),
        "no vectors of one width",
    ),
    "ragged dict.pkl": (
        lambda p: p.write_bytes(pickle.dumps({"A": [1.0], "Ä": [1.0, 2.0], "x": [1.0]})),
        "'Ä' has 2 numbers, others have 1",
    ),
    "words.pkl": (
        lambda p: p.write_bytes(pickle.dumps({"A": "one", "Ä": "two", "z": "three"})),
        "has a str, expected a vector",
    ),
    "keys.pkl": (
        lambda p: p.write_bytes(pickle.dumps({(1, 2): [1.0]})),
        "has the key a tuple",
    ),
    "ids.pkl": (
        lambda p: p.write_bytes(pickle.dumps({0: [1.0], "A": [2.0], 2: [1.0]})),
        "its keys are numbers",
    ),
    "twice.pkl": (
        lambda p: p.write_bytes(pickle.dumps({"A": [1.0], "<A>": [2.0], "z": [3.0]})),
        "both name 'A'",
    ),
    "long number.pkl": (
        lambda p: p.write_bytes(pickle.dumps(1 << 99_999)),
        "holds what cannot be used",
    ),
    "junk.pkl": (lambda p: p.write_bytes(b"\0\1\2"), "is corrupt or no pickle"),
    "empty.safetensors": (lambda p: p.write_bytes(b""), "corrupt, truncated or no .safetensors"),
    "cut.safetensors": (
        lambda p: (save_file({"m": MATRIX}, p), _edit(p, lambda b: b[:-4])),
        "corrupt, truncated or no .safetensors",
    ),
    "own.safetensors": (
        lambda p: save_file({"vectors": MATRIX, "present": np.ones(5, np.uint8)}, p),
        "own.json with its labels cannot be read",
    ),
    "junk.h5": (lambda p: p.write_bytes(b"no hdf5"), "corrupt, truncated or no .h5"),
    "empty.h5": (lambda p: _write_h5(p, {}), "holds no dataset"),
    "link.h5": (lambda p: _write_linked(p, "external"), "refused: a is a link"),
    "soft.h5": (lambda p: _write_linked(p, "soft"), "refused: a is a link"),
    "stored.h5": (
        lambda p: _write_linked(p, "storage"),
        "refused: the numbers of /a are in another",
    ),
    "virtual.h5": (
        lambda p: _write_linked(p, "virtual"),
        "refused: the numbers of /a are in anoth",
    ),
    "empty.csv": (lambda p: p.write_text(""), "is empty"),
    "header.csv": (lambda p: p.write_text("label,x\n"), "holds no rows"),
    "ragged.csv": (lambda p: p.write_text("A,1,2\nÄ,1\n", "utf-8"), r"ragged.csv:2: .*columns"),
    "word.csv": (lambda p: p.write_text("A,1\nB/b,two\n"), r"word.csv:2: 'two' is no number"),
    "blank.csv": (lambda p: p.write_text("A,1,2\nB/b,,3\n"), r"blank.csv:2: '' is no number"),
    "twice.csv": (lambda p: p.write_text("A,1\nA,2\n"), "two rows for 'A'"),
    "labels.csv": (lambda p: p.write_text("A\nB/b\n"), "labels alone and no numbers"),
    "latin.csv": (lambda p: p.write_bytes("Ä,1\n".encode("latin1")), "not UTF-8"),
    "nan.csv": (lambda p: p.write_text("A,nan\n"), "vector of 'A' holds NaN"),
    "cell.csv": (lambda p: p.write_text("A," + "1" * (2 << 20)), "holds NaN or infinity"),
    "strangers.csv": (lambda p: p.write_text("x,1\ny,2\n"), "none of its 2 labels .*'x'"),
    "junk.parquet": (lambda p: p.write_bytes(b"PAR1 no"), "corrupt or no Parquet"),
    "texts.parquet": (
        lambda p: _write_parquet(p, {"label": ["A"], "x": [None], "y": [1.0]}),
        "blank cells|expected numbers",
    ),
    "two.parquet": (
        lambda p: _write_parquet(p, {"a": ["A"], "b": ["B"], "x": [1.0]}),
        "2 columns of texts",
    ),
    "dates.parquet": (
        lambda p: _write_parquet(p, {"label": ["A"], "x": [[["deep"]]]}),
        "expected numbers|corrupt|holds",
    ),
}


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("name", FAULTS)
def test_files_that_are_wrong(tmp_path, name):
    path = tmp_path / name
    FAULTS[name][0](path)
    matrix = path.suffix == ".npy" or name in ("empty.npz", "cut.npz")
    order = "entity2id" if matrix else None
    with pytest.raises(FeatureError, match=FAULTS[name][1]) as caught:
        read_features(path, ENTITIES, modality="image", order=order)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "matrix of 5 rows that nothing names"),
        ({"order": "entity2id", "labels": Path("x")}, "give one of them"),
        ({"labels": Path("gone.txt")}, "gone.txt: the file is missing"),
        ({"modality": "joint"}, "the model has a head of this name"),
        ({"modality": None}, "Give --modality"),
    ],
)
def test_options_that_do_not_fit(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    np.save("m.npy", MATRIX)
    with pytest.raises(DataError, match=message):
        read_features(Path("m.npy"), ENTITIES, **{"modality": "image"} | options)


def test_keys_need_no_order(tmp_path):
    (tmp_path / "v.pkl").write_bytes(pickle.dumps(BY_LABEL))
    with pytest.raises(FeatureError, match="keys of their own; leave --order"):
        read_features(tmp_path / "v.pkl", ENTITIES, modality="image", order="entity2id")


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "v.h5").write_bytes(b"x")
    with pytest.raises(MissingExtraError, match=r"momok\[hdf5\]"):
        read_features(tmp_path / "v.h5", ENTITIES, modality="image")


def _intact(name: str, folder: Path) -> bytes:
    (KEYED | MATRICES)[name](folder / name)
    return (folder / name).read_bytes()


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    """A file of each format, as bytes."""
    folder = tmp_path_factory.mktemp("intact")
    names = (
        "m.npy",
        "dict.npy",
        "pair.npz",
        "dict.safetensors",
        "plain.csv",
        "dict.pt",
        "dict.pkl",
    )
    return [(Path(name).suffix, _intact(name, folder)) for name in names]


@given(data=st.data())
@settings(max_examples=150, deadline=None)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_give_one_line(tmp_path_factory, intact, data):
    suffix, content = intact[data.draw(st.integers(0, len(intact) - 1))]
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 6))):
        changed[data.draw(st.integers(0, 99)) % len(changed)] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / f"v{suffix}"
    path.write_bytes(changed)
    try:
        imported = read_features(path, ENTITIES, modality="image")
    except FeatureError as error:
        said = str(error)
    else:
        said = json.dumps(dict(imported.features.manifest.settings))
    assert "\n" not in said


def test_every_suffix_is_tried():
    tried = {Path(name).suffix for name in (*KEYED, *MATRICES, *FAULTS)} | {".bin"}
    assert set(SUFFIXES) <= tried


def test_open_vectors_closes_what_it_opens(tmp_path):
    h5py = pytest.importorskip("h5py", reason="the extra 'hdf5' is not installed")
    _write_h5(tmp_path / "v.h5", BY_LABEL)
    with open_vectors(tmp_path / "v.h5") as vectors:
        assert len(vectors.keys) == 5
    with h5py.File(tmp_path / "v.h5", "a") as file:  # would fail on a file that is open elsewhere
        file["more"] = [1.0]


FILMS = [f"film {i}" for i in range(6)]
FILM_VECTORS = np.arange(24, dtype=np.float32).reshape(6, 4)


def _write_groups(path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="the extra 'hdf5' is not installed")
    with h5py.File(path, "w") as file:
        for label, vector in zip(FILMS, FILM_VECTORS, strict=True):
            file.create_group(label)["emb"] = vector


def _write_words(path: Path) -> None:
    rows = zip(FILMS, FILM_VECTORS.tolist(), strict=True)
    path.write_text("6 4\n" + "".join(f"{x} {' '.join(map(str, row))}\n" for x, row in rows))


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("groups.h5", _write_groups),
        ("words.txt", _write_words),
        ("ids.npz", lambda p: np.savez(p, emb=FILM_VECTORS, ids=np.array(FILMS, dtype=object))),
    ],
)
def test_labels_of_other_programs(name, write, tmp_path):
    write(tmp_path / name)
    imported = read_features(tmp_path / name, Vocabulary(tuple(FILMS)), modality="text")
    np.testing.assert_array_equal(imported.features.matrix, FILM_VECTORS)


def test_a_matrix_of_objects(tmp_path):
    np.save(tmp_path / "v.npy", FILM_VECTORS.astype(object), allow_pickle=True)
    with open_vectors(tmp_path / "v.npy") as vectors:
        np.testing.assert_array_equal(vectors.rows, FILM_VECTORS)
