"""A graph of forty entities with labels that attack a page, and with good and bad pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from momok.graph import FeatureManifest, Features, MultimodalGraph, Vocabulary, write_momok_folder

SCRIPT = "<script>alert('entity')</script>"
ATTRIBUTE = '" onmouseover="alert(1)" x="'
HOSTILE = (
    SCRIPT,
    ATTRIBUTE,
    "</title></style><img src=x onerror=alert(2)>",
    "\u202eright to left\u202d",
    "bell \x07 and escape \x1b[31m",
    "nonchar \ufdd0 \uffff",
    "long " + "name" * 2500,
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "&lt;b&gt; & &amp;",
    "中文 العربية हिन्दी 👩‍🚀",
)
RELATIONS = ("<b>knows</b>", 'is "part" of', "</svg><script>alert(3)</script>")
SIZE = 40
SECRET = "camera serial 12345"


def write_hostile_graph(folder: Path) -> Path:
    """Write the graph as a folder that ``load_graph`` reads."""
    labels = (*HOSTILE, *(f"entity {number}" for number in range(len(HOSTILE), SIZE)))
    generator = np.random.default_rng(5)
    facts = sorted(
        {
            (int(h), int(r), int((h * (r + 2) + r) % SIZE))
            for h, r in zip(
                generator.integers(SIZE, size=220), generator.integers(3, size=220), strict=True
            )
        }
    )
    order = generator.permutation(len(facts))
    triples = np.array(facts, dtype=np.int64)[order]
    names = tuple(f"name of {label}" if i % 2 else label for i, label in enumerate(labels))
    present = np.arange(SIZE) % 3 > 0
    vectors = generator.normal(size=(SIZE, 12)).astype(np.float32) * present[:, None]
    manifest = FeatureManifest(
        modality="image", width=12, encoder="<i>by hand</i>", created="2025-01-02"
    )
    pictures = _draw_pictures(folder.parent / "pictures")
    graph = MultimodalGraph(
        name="hostile <u>graph</u>",
        entities=Vocabulary(labels),
        relations=Vocabulary(RELATIONS),
        train=triples[30:],
        valid=triples[15:30],
        test=triples[:15],
        features={"image": Features(vectors, present, manifest)},
        entity_names=names,
        pictures=dict(enumerate(pictures)),
        licence="<a href='https://example.org'>licence</a>",
    )
    write_momok_folder(graph, folder)
    return folder


def _draw_pictures(folder: Path) -> list[Path]:
    """One picture per entity: drawings with metadata, and three files that are none."""
    folder.mkdir(parents=True)
    paths = []
    for number in range(SIZE):
        path = folder / f"{number}.png"
        colour = (number * 6, 255 - number * 6, 128)
        exif = Image.Exif()
        exif[0x010E] = SECRET
        Image.new("RGB", (300, 200), colour).save(path, exif=exif)
        paths.append(path)
    paths[1].write_bytes(b"no picture")
    paths[2].write_bytes(paths[2].read_bytes()[:60])
    return paths
