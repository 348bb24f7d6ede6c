"""A small graph, in memory and as a benchmark folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from momok.graph import MultimodalGraph, Vocabulary
from tests.graph.small_graph import ENTITIES, RELATIONS, TEST, TRAIN, VALID, as_triples


@pytest.fixture
def small() -> MultimodalGraph:
    return MultimodalGraph(
        name="small",
        entities=Vocabulary(ENTITIES),
        relations=Vocabulary(RELATIONS),
        train=as_triples(TRAIN),
        valid=as_triples(VALID),
        test=as_triples(TEST),
    )


@pytest.fixture
def benchmark_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a benchmark folder; keyword arguments replace the text of a file (None: no file)."""

    def write(**texts: str | bytes | None) -> Path:
        folder = tmp_path / "small"
        folder.mkdir()
        files: dict[str, str | bytes | None] = {
            "entity2id": "".join(f"{label} {i}\n" for i, label in enumerate(ENTITIES)),
            "relation2id": "".join(f"{label}\t{i}\n" for i, label in enumerate(RELATIONS)),
        }
        for split, facts in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
            files[split] = "".join(
                f"{ENTITIES[h]} {RELATIONS[r]} {ENTITIES[t]} .\n" for h, r, t in facts
            )
        for name, text in (files | texts).items():
            path = folder / (name if "." in name else f"{name}.txt")
            if text is not None:
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return folder

    return write
