"""The published files: where they lie, and that they are those of the benchmarks."""

from __future__ import annotations

import hashlib
import re

import pytest

from momok.graph import CATALOG
from momok.graph.fetch.origins import ORIGINS

FILES = {"entity2id.txt", "relation2id.txt", "train.txt", "valid.txt", "test.txt"}


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_every_benchmark_has_its_five_files_at_fixed_addresses():
    assert set(ORIGINS) == {entry.name for entry in CATALOG if not entry.bundled}
    for graph in ORIGINS.values():
        assert {file.name for file in graph.files} == FILES
        for file in graph.files:
            assert file.url.startswith("https://raw.githubusercontent.com/zjukg/")
            assert re.search(r"/[0-9a-f]{40}/", file.url)
            assert (len(file.sha256), file.size > 0) == (64, True)
            assert bool(file.written_sha256) == file.ids


@pytest.mark.parametrize("name", ORIGINS)
def test_sizes_and_hashes_are_those_of_the_benchmarks(benchmarks, name):
    for file in ORIGINS[name].files:
        content = (benchmarks / name / file.name).read_bytes()
        if file.ids:
            assert sha256(content) == file.written_sha256
        else:
            assert (len(content), sha256(content)) == (file.size, file.sha256)
