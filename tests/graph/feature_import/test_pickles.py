"""Pickles are read without running what is in them."""

from __future__ import annotations

import collections
import io
import os
import pickle
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import FeatureError
from momok.graph.feature_import.files import open_vectors
from momok.graph.feature_import.pickles import read_pickle

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(6, 4)).astype(np.float32)


def same(found, expected) -> bool:
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[k], expected[k]) for k in found)
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(same, found, expected))
    return np.array_equal(np.asarray(found), np.asarray(expected))


PLAIN = [
    MATRIX,
    MATRIX.astype(">f8"),
    np.asfortranarray(MATRIX),
    MATRIX[::2, ::-1],
    {"a": MATRIX[0], "b": MATRIX[1].astype(np.float16)},
    collections.OrderedDict(a=MATRIX[0]),
    {3: [1.0, 2.5], 4: [0.5, -1.0]},
    [list(map(float, row)) for row in MATRIX],
    {"vectors": MATRIX, "labels": ["Ä", "中", "c", "d", "e", "f"]},
    {"count": np.float32(1.5), "of": np.int64(7), "none": None, "yes": True},
    np.array(["a", "bcd"]),
]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("number", range(len(PLAIN)))
def test_plain_pickles(tmp_path, protocol, number):
    path = tmp_path / "v.pkl"
    path.write_bytes(pickle.dumps(PLAIN[number], protocol))
    assert same(read_pickle(path), PLAIN[number])


DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tensors_of_every_type(tmp_path, legacy, dtype):
    tensor = (torch.from_numpy(MATRIX) * 10).to(getattr(torch, dtype))
    path = tmp_path / "v.pth"
    torch.save(tensor, path, _use_new_zipfile_serialization=not legacy)
    assert np.array_equal(read_pickle(path), tensor.float().numpy())


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_of_every_layout(tmp_path, legacy):
    base = torch.arange(60.0).reshape(6, 10)
    given_ = {
        "whole": base,
        "turned": base.T,
        "part": base[2:4, 1:9:3],
        "row": base[5],
        "repeated": torch.ones(1, 3).expand(8, 3),
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(2.5),
        "parameter": torch.nn.Parameter(base),
        "nested": [base[0], {"deep": base[1]}],
        "array": MATRIX,
        "text": "hello",
    }
    path = tmp_path / "v.pt"
    torch.save(given_, path, _use_new_zipfile_serialization=not legacy)
    found = read_pickle(path)
    for key, value in given_.items():
        if isinstance(value, torch.Tensor):
            assert np.array_equal(found[key], value.detach().numpy()), key
    assert np.array_equal(found["nested"][1]["deep"], base[1])
    assert np.array_equal(found["array"], MATRIX)
    assert found["text"] == "hello"


def test_a_tensor_in_a_plain_pickle(tmp_path):
    path = tmp_path / "v.pkl"
    path.write_bytes(pickle.dumps({"a": torch.arange(4.0)}))
    assert np.array_equal(read_pickle(path)["a"], np.arange(4.0))


class Runs:
    """Would run a command when unpickled."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


def _evil(kind: str, target: str) -> bytes:
    """Pickles that would create ``target``, each by another way."""
    opened = f"open({target!r}, 'w').close()".encode()
    touch = f"touch {target}".encode()
    by_hand = {
        "inst": b"(S'" + touch + b"'\nios\nsystem\n.",
        "obj": b"(cos\nsystem\nS'" + touch + b"'\no.",
        "newobj": b"\x80\x02cos\nsystem\n(S'" + touch + b"'\nt\x81.",
        "global": b"cos\nsystem\n(S'" + touch + b"'\ntR.",
        "old builtin": b"c__builtin__\neval\n(S'" + opened.replace(b"'", b'"') + b"'\ntR.",
        "build": b"cnumpy.core.multiarray\n_reconstruct\n(dVx\nI1\nsb.",
        "dotted": b"\x80\x04\x8c\x05numpy\x8c\x14f2py.os.system.__call__\x93.",
        "extension": b"\x80\x02\x82\x01.",
        "persistent": b"Pstorage\n.",
        "call of a storage": b"ctorch\nFloatStorage\n(I3\ntR.",
    }
    return by_hand[kind]


HAND_MADE = (
    "inst", "obj", "newobj", "global", "old builtin", "build", "dotted", "extension", "persistent",
    "call of a storage",
)  # fmt: skip


@pytest.mark.parametrize("kind", HAND_MADE)
def test_hand_made_pickles_are_refused(tmp_path, kind):
    path, target = tmp_path / "v.pkl", tmp_path / "touched"
    path.write_bytes(_evil(kind, str(target)))
    with pytest.raises(FeatureError, match=r"^is (refused|corrupt)") as caught:
        read_pickle(path)
    assert not target.exists()
    assert "\n" not in str(caught.value)


def test_the_hand_made_ones_would_run(tmp_path):
    """The attacks are real: Python itself falls for them."""
    for kind in ("inst", "obj", "global", "old builtin"):
        target = tmp_path / kind
        code = "import pickle, sys; pickle.loads(sys.stdin.buffer.read())"
        content = _evil(
            kind, str(target).replace(" ", "\\ ") if kind != "old builtin" else str(target)
        )
        subprocess.run(
            [sys.executable, "-c", code],
            input=content,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert target.exists(), kind


@pytest.mark.parametrize(
    "content",
    [
        Runs(os.system, "echo run"),
        Runs(eval, "1"),
        Runs(getattr, "x", "upper"),
        {"a": Runs(exec, "pass")},
        [MATRIX, Runs(print, "x")],
        np.array([Runs(os.getcwd)], dtype=object),
        io.BytesIO(b"x"),
        {1, 2},
        complex(1, 2),
        range(3),
        np.array([1 + 2j]),
        np.array(["2020-01-01"], dtype="datetime64[D]"),
        np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f4")]),
        torch.device("cpu"),
        torch.nn.Linear(2, 2),
        torch.ones(2, 2).to_sparse(),
    ],
    ids=lambda content: type(content).__name__,
)
@pytest.mark.parametrize("how", ["pickle", "torch", "legacy torch", "npy"])
def test_anything_but_arrays_is_refused(tmp_path, content, how):
    path = tmp_path / ("v.npy" if how == "npy" else "v.bin")
    if how == "npy":
        objects = np.empty(2, dtype=object)
        objects[0], objects[1] = content, 0
        np.save(path, objects, allow_pickle=True)
    elif how == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=how == "torch")
    with pytest.raises(FeatureError, match=r"is refused: it holds|holds a "), open_vectors(path):
        pass


def test_keys_that_would_overflow_the_stack(tmp_path):
    """The hash of a tuple within a million tuples ends a process without a word."""
    path = tmp_path / "v.pkl"
    nested = b")" + b"\x85" * 1_000_000  # (((...),),)
    for content in (
        b"\x80\x04}" + nested + b"K\x01s.",
        b"\x80\x04}(" + nested + b"K\x01u.",
        b"\x80\x04(" + nested + b"K\x01d.",
        b"\x80\x04\x8f(" + nested + b"\x90.",
        b"\x80\x04(" + nested + b"\x91.",
    ):
        path.write_bytes(content)
        with pytest.raises(FeatureError, match="is refused: it holds tuples within tuples"):
            read_pickle(path)


def _nest(width, depth):
    """A list of one list of one list ...: small in a pickle, which writes each of them once."""
    nested = [1] * width
    for _ in range(depth):
        nested = [nested] * width
    return nested


@pytest.mark.parametrize(
    "content",
    [
        _nest(8000, 1),
        _nest(3000, 2),
        _nest(1000, 9),
        {"a": _nest(8000, 1), "b": 1, "c": 1},
        {"a": _nest(1000, 9), "b": 1, "c": 1},
    ],
)
def test_lists_that_would_fill_the_memory(tmp_path, content):
    path = tmp_path / "v.pkl"
    path.write_bytes(pickle.dumps(content))
    assert path.stat().st_size < 40_000
    with pytest.raises(FeatureError, match=r"taken for a bomb|no vectors"), open_vectors(path) as v:
        v.read("a")


def test_a_tensor_that_repeats_one_number(tmp_path):
    torch.save(torch.ones(1, 1).expand(10**6, 10**5), tmp_path / "v.pt")
    with pytest.raises(FeatureError, match="repeats 4 bytes"), open_vectors(tmp_path / "v.pt"):
        pass


def test_bombs_of_the_memo_and_of_sizes(tmp_path):
    path = tmp_path / "v.pkl"
    bombs = (
        b"\x80\x04Nr\xff\xff\xff\x7f.",  # an index of the memo: 2^31 entries where it is an array
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.",  # a text of 2^63 bytes
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\x00\x00.",  # a bytearray of 2^48
    )
    for bomb in bombs:
        path.write_bytes(bomb)
        try:
            read_pickle(path)
        except FeatureError as error:
            said = str(error)
        else:
            said = ""
        assert "\n" not in said


def test_a_tensor_that_reaches_out_of_its_storage(tmp_path):
    path = tmp_path / "v.pth"
    torch.save(torch.arange(6.0), path)
    for size in (7, 10**9):
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: archive.read(info) for info in archive.infolist()}
        pickled = next(name for name in members if name.endswith("data.pkl"))
        # The shape (6,) is written as BININT1 6 in a tuple; the storage's count is another one.
        old = b"K\x00K\x06\x85"
        assert members[pickled].count(old) == 1
        replaced = members[pickled].replace(old, b"K\x00J" + size.to_bytes(4, "little") + b"\x85")
        changed = tmp_path / f"{size}.pth"
        with zipfile.ZipFile(changed, "w") as archive:
            for name, content in members.items():
                archive.writestr(name, replaced if name == pickled else content)
        with pytest.raises(FeatureError, match="resize storage"):
            read_pickle(changed)


def _save(how: str) -> bytes:
    if how == "plain":
        return pickle.dumps({"a": MATRIX, "b": [1.0, 2.0]})
    buffer, content = io.BytesIO(), {"a": torch.from_numpy(MATRIX), "b": torch.arange(3)}
    torch.save(content, buffer, _use_new_zipfile_serialization=how == "zip")
    return buffer.getvalue()


INTACT = [_save(how) for how in ("zip", "legacy", "plain")]


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_files_give_one_line(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("pickles") / "v.pth"
    content = bytearray(data.draw(st.sampled_from(INTACT)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        read_pickle(path)
    except FeatureError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said


@given(content=st.binary(max_size=60))
@settings(max_examples=200, deadline=None)
def test_random_bytes_give_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("pickles") / "v.pkl"
    path.write_bytes(content)
    try:
        read_pickle(path)
    except FeatureError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said


def test_keys_that_repeat_few_rows_are_a_bomb(tmp_path):
    path, row = tmp_path / "v.pkl", [0.5] * 300
    path.write_bytes(pickle.dumps({f"e{i}": [row] * 300 for i in range(200)}))  # 18 million
    said = "repeats few rows to 18,000,000 numbers"
    with pytest.raises(FeatureError, match=said), open_vectors(path):
        pass
