"""A new entity asked about on the page and over HTTP: answers, limits, and nothing kept."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from momok.errors import AmbiguousNameError
from momok.prediction import NewEntity, Predictor
from momok.serving import new_entity_page
from momok.serving.app import create_app
from momok.serving.settings import ServeSettings
from tests.prediction.trained_run import train_small_run
from tests.serving.parsed_page import check
from tests.serving.served_run import train_hostile_run

pytest.importorskip("skimage")
Serve = Callable[..., TestClient]


@pytest.fixture(scope="module")
def world_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_small_run(tmp_path_factory.mktemp("new") / "run", training__epochs=1).path


@pytest.fixture(scope="module")
def world(world_run: Path) -> Iterator[TestClient]:
    settings = ServeSettings(run=world_run, threads=1, watch_seconds=0)
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        yield client


def encode_flag(size: tuple[int, int] = (64, 48)) -> bytes:
    stripes = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    stripes[: size[1] // 2] = (200, 16, 46)
    content = io.BytesIO()
    Image.fromarray(stripes).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("role", ["head", "tail"])
def test_answers_are_the_predictors(
    world: TestClient, world_run: Path, tmp_path: Path, role: str
) -> None:
    flag = tmp_path / "flag.png"
    flag.write_bytes(encode_flag())
    expected = Predictor(world_run).predict_new(
        NewEntity(pictures=[flag]),
        relation="borders",
        role=role,  # type: ignore[arg-type]
        k=4,
        plausible=True,
    )
    answer = world.post(
        "/api/v1/predict/new",
        data={"relation": "borders", "role": role, "k": "4", "plausible": "true"},
        files={"picture": ("any name.png", encode_flag())},
    ).json()
    assert [p["label"] for p in answer["predictions"]] == [p.label for p in expected]
    assert [p["score"] for p in answer["predictions"]] == pytest.approx(
        [p.score for p in expected], rel=1e-5
    )
    assert answer["query"]["new"] is True
    page = world.post(
        "/new",
        data={"relation": "borders", "role": role, "plausible": "1"},
        files={"picture": ("flag.png", encode_flag())},
    )
    assert page.status_code == 200
    check(page.text)
    names = [page.text.index(p.title) for p in expected]
    assert names == sorted(names)


def test_nothing_of_it_is_kept(
    world: TestClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen: list[int] = []
    open_picture = new_entity_page.open_picture

    def watch(path: Path, **limits: int) -> object:
        seen.append(len(list(tmp_path.rglob("picture"))))
        return open_picture(path, **limits)  # type: ignore[arg-type]

    monkeypatch.setattr(new_entity_page, "open_picture", watch)
    given = {"relation": "borders", "name": "", "text": ""}
    answer = world.post("/new", data=given, files={"picture": ("x.png", encode_flag())})
    assert (answer.status_code, seen) == (200, [1])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no picture", "in no picture format"),
        (encode_flag()[:60], "corrupt or truncated"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "in no picture format"),
    ],
)
def test_what_is_no_picture_is_refused(world: TestClient, content: bytes, words: str) -> None:
    given = {"relation": "borders"}
    for path in ("/new", "/api/v1/predict/new"):
        answer = world.post(path, data=given, files={"picture": ("x.png", content)})
        assert (answer.status_code, words in answer.text) == (422, True)


def test_a_picture_of_too_many_pixels_or_bytes_is_refused(world: TestClient) -> None:
    content = io.BytesIO()
    Image.new("1", (6000, 5000)).save(content, "PNG")  # 30 million in some kilobytes
    given = {"relation": "borders"}
    answer = world.post("/new", data=given, files={"picture": ("x.png", content.getvalue())})
    assert (answer.status_code, "6,000 x 5,000 pixels, too many" in answer.text) == (422, True)
    answer = world.post("/new", data=given, files={"picture": ("x.png", b"x" * (9 << 20))})
    assert answer.status_code == 413
    answer = world.post("/ask", data=given, files={"picture": ("x.png", b"x" * (2 << 20))})
    assert answer.status_code in (405, 413)  # elsewhere no such body is taken


@pytest.mark.parametrize(
    ("given", "status", "words"),
    [
        ({"relation": "borders"}, 422, "give a name, a text or a picture"),
        ({"relation": "bordrs", "name": "x"}, 404, "borders"),
        ({"relation": "borders", "name": "x", "role": "side"}, 422, "expected"),
        ({"name": "x"}, 404, "relation"),
    ],
)
def test_what_is_wrong_is_said_beside_the_form(
    world: TestClient, given: dict[str, str], status: int, words: str
) -> None:
    answer = world.post("/new", data=given)
    assert (answer.status_code, words in answer.text) == (status, True)
    check(answer.text)


def test_a_name_that_several_have_is_the_askers_to_mend(
    world: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AmbiguousNameError("2 relations are called so")

    monkeypatch.setattr("momok.serving.new_entity_page.predict_new", refuse)
    answer = world.post("/new", data={"relation": "borders", "name": "x"})
    assert (answer.status_code, "2 relations are called so" in answer.text) == (422, True)
    answer = world.post("/api/v1/predict/new", data={"relation": "borders", "name": "x"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "ambiguous_name")


def test_a_model_without_encoders_says_so(client: TestClient) -> None:
    page = client.get("/new")
    assert page.status_code == 200
    check(page.text)
    assert "no modality that a text or a picture can be encoded for" in page.text
    assert "<textarea" not in page.text


def test_without_its_graph_a_run_says_so(serve: Serve, tmp_path: Path) -> None:
    run = train_hostile_run(tmp_path / "here").path
    shutil.rmtree(tmp_path / "here/graph")
    page = serve(run=run).get("/new")
    assert page.status_code == 200
    assert "so its features are needed" in page.text
    assert "--graph" not in page.text  # which momok serve does not take
