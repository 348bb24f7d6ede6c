"""A small run whose graph has what makes servers fail: hostile labels, broken pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

import momok
from momok.config import resolve_config
from momok.graph.features import FeatureManifest, Features, save_features
from momok.graph.names import Vocabulary
from momok.training import RunFolder

SCRIPT = "<script>alert('label')</script>"
QUOTES = "\"><img src=x onerror=alert(1)> & 'co'"
TURNED = "safe\u202egnp.exe\u202c name"
LONG = "x" * 9_990 + " the end"
LONG_CHINESE = "长" * 10_000
PATH_LIKE = "../../etc/passwd"
TEMPLATE = "{{ 7*7 }}{% raw %}"

NAMES = {
    "q:france": "France",
    "q:spain": "Spain",
    "q:germany": "Germany",
    "q:japan": "日本",
    "q:russia": "Россия",
    "q:egypt": "مصر",
    "q:dabritz": "Sara Däbritz",
    "q:twin1": "Springfield",
    "q:twin2": "Springfield",
    SCRIPT: SCRIPT,
    QUOTES: QUOTES,
    TURNED: TURNED,
    LONG: "",
    LONG_CHINESE: LONG_CHINESE,
    PATH_LIKE: "passwords",
    TEMPLATE: TEMPLATE,
    "q:alien": "\U0001f47d",
} | {f"q:place{i}": f"Place {i}" for i in range(23)}

RELATIONS = {"borders": "borders", "lies-in": "lies in <b>", "r:" + SCRIPT: SCRIPT}

SETTINGS = {
    "preset": "experts",
    "model.structure_width": 8,
    "model.relation_width": 8,
    "model.joint_width": 8,
    "training.epochs": 1,
    "training.validate_every": 1,
    "runtime.threads": 1,
    "runtime.device": "cpu",
    "runtime.precision": "float32",
}


def write_graph(folder: Path) -> None:
    """The graph, in momok's format, with pictures of some entities."""
    folder.mkdir(parents=True)
    labels = list(NAMES)
    relations = list(RELATIONS)
    rng = np.random.default_rng(0)
    facts = {
        (int(h), int(r), int(t))
        for h, r, t in zip(
            rng.integers(len(labels), size=400),
            rng.integers(len(relations), size=400),
            rng.integers(len(labels), size=400),
            strict=True,
        )
        if h != t
    }
    ordered = sorted(facts)
    rng.shuffle(ordered)
    parts = {"train": ordered[40:], "valid": ordered[:20], "test": ordered[20:40]}
    for split, rows in parts.items():
        lines = [f"{labels[h]}\t{relations[r]}\t{labels[t]}\n" for h, r, t in rows]
        (folder / f"{split}.tsv").write_text("".join(lines), encoding="utf-8")
    about = {"format": "momok-graph", "version": 1, "name": "hostile", "split": "clean"}
    (folder / "graph.json").write_text(json.dumps(about), encoding="utf-8")
    write_entities(folder)
    rows = ["label\tname\n", *(f"{label}\t{name}\n" for label, name in RELATIONS.items())]
    (folder / "relations.tsv").write_text("".join(rows), encoding="utf-8")
    matrix = rng.normal(size=(len(labels), 8)).astype(np.float32)
    save_features(
        folder / "features",
        Features(
            matrix,
            np.ones(len(labels), dtype=bool),
            FeatureManifest(modality="text", width=8, encoder="random"),
        ),
        Vocabulary(tuple(labels)),
    )


def write_entities(folder: Path) -> None:
    """Names, descriptions and pictures: sound, not a picture, a bomb, an SVG."""
    pictures = folder / "pictures"
    pictures.mkdir()
    Image.new("RGB", (640, 400), "#c33").save(pictures / "france.png")
    Image.new("RGBA", (30, 20), (0, 90, 200, 128)).save(pictures / "spain.png")
    (pictures / "japan.png").write_bytes(b"\x89PNG\r\n\x1a\n but no picture")
    (pictures / "egypt.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    given = {
        "q:france": "pictures/france.png",
        "q:spain": "pictures/spain.png",
        "q:japan": "pictures/japan.png",
        "q:egypt": "pictures/egypt.svg",
    }
    lines = ["label\tname\tdescription\tpicture\ttype\tother_name\n"]
    for label, name in NAMES.items():
        other = "Nihon" if label == "q:japan" else ""
        description = f"About {SCRIPT} and {TURNED}" if label == SCRIPT else ""
        columns = [label, name, description, given.get(label, ""), "place", other]
        lines.append("\t".join(columns) + "\n")
    (folder / "entities.tsv").write_text("".join(lines), encoding="utf-8")


def train_hostile_run(folder: Path) -> RunFolder:
    """The graph in ``folder/graph``, the run in ``folder/run``."""
    write_graph(folder / "graph")
    config = resolve_config(overrides=SETTINGS)
    graph = momok.load_graph(folder / "graph")
    return momok.train(graph, config, run=folder / "run", progress=False)
