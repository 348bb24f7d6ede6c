"""Encoding on a Ray cluster of two workers: the bytes of the local way."""

from __future__ import annotations

from pathlib import Path

import pytest

from momok.encoders import encode_modality
from momok.errors import FeatureError
from tests.encoders.slow_encoder import LetterEncoder, encode
from tests.encoders.test_encode import read_files
from tests.training.small_training import expect_line

pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_pictures_broken_ones_and_what_was_finished(pictured: Path) -> None:
    expected = encode_modality(pictured, "image", batch=2, replace=True)
    local = read_files(pictured)

    def stop(_what: str, done: int, _total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode_modality(pictured, "image", batch=2, replace=True, progress=stop)
    done: list[int] = []
    found = encode_modality(
        pictured, "image", batch=2, ray="local", progress=lambda _what, n, _total: done.append(n)
    )
    assert found.resumed == 4
    assert done == [4, 6, 8, 10, 11]
    assert found.problems == expected.problems
    assert {problem.kind for problem in found.problems} == {"empty", "unreadable"}
    assert read_files(pictured) == local


def test_what_an_encoder_does_wrong_is_one_line(graph_folder) -> None:
    folder = graph_folder(6)
    encoder = LetterEncoder()
    encoder.width = 9  # of vectors that are 8 wide
    with expect_line(FeatureError, "letters: gives (2, 8), expected float32 [2, 9]"):
        encode(folder, encoder=encoder, batch=2, ray="local")
