"""The page on RDF and SPARQL: its commands run, in a shell, and make what it says."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from momok.graph import SPLIT_NAMES, MultimodalGraph, load_graph
from momok.graph.entities_file import read_numbers

PAGE = Path(__file__).resolve().parent.parent / "docs" / "rdf.md"
BIN = Path(sys.executable).parent
WD = "http://www.wikidata.org/entity/"
WDT = "http://www.wikidata.org/prop/direct/"
PORT = "7878"  # of the page


def find_block(start: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    [block] = [
        b for b in re.findall(r"^```sh\n(.*?)^```", text, re.M | re.S) if b.startswith(start)
    ]
    return block


def run_block(block: str, folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "COLUMNS": "120"}
    done = subprocess.run(
        ["bash", "-e", "-c", block],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first part of the page was followed."""
    folder = tmp_path_factory.mktemp("guide")
    run_block(find_block("cat > capitals.ttl"), folder)
    return folder


def test_the_file_becomes_the_graph_that_the_page_tells(folder: Path) -> None:
    graph = load_graph(str(folder / "capitals"))
    names = dict(zip(graph.entities.labels, graph.entity_names, strict=True))
    assert (names[WD + "Q142"], names[WD + "Q239"]) == ("Frankreich", "Brüssel")
    assert names[WD + "Q90"] == "Paris"
    relations = dict(zip(graph.relations.labels, graph.relation_names, strict=True))
    assert relations[WDT + "P36"] == "Hauptstadt"
    assert relations[WDT + "P47"] == "shares border with"
    types = dict(zip(graph.entities.labels, graph.entity_types, strict=True))
    assert (types[WD + "Q142"], types[WD + "Q90"]) == ("Staat", "Stadt")
    texts = dict(zip(graph.entities.labels, graph.descriptions, strict=True))
    assert texts[WD + "Q90"] == "capital of France"
    numbers = read_numbers(folder / "capitals")
    assert numbers[WDT + "P1082"][WD + "Q64"] == 3755251
    assert numbers[WDT + "P571"] == {WD + "Q64": 1237.0}
    urls = (folder / "capitals" / "picture_urls.tsv").read_text(encoding="utf-8")
    assert "Special:FilePath/Madrid.jpg" in urls
    assert len(graph.train) + len(graph.valid) + len(graph.test) == 27


@pytest.fixture
def endpoint(folder: Path) -> Iterator[str]:
    """An Oxigraph server with the file of the page, on a free port."""
    binary = shutil.which("oxigraph", path=str(BIN))
    if binary is None:
        pytest.skip("the server oxigraph is not installed (pip install oxigraph)")
    store = folder / "store"
    load = [binary, "load", "--location", store, "--file", folder / "capitals.ttl"]
    subprocess.run(load, check=True, capture_output=True, timeout=60)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve = [binary, "serve-read-only", "--location", store, "--bind", f"127.0.0.1:{port}"]
    server = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                time.sleep(0.05)
        yield str(port)
    finally:
        server.terminate()
        server.wait(10)


def test_the_endpoint_gives_the_same_facts(folder: Path, endpoint: str) -> None:
    block = find_block("cat > borders.rq")
    assert f"localhost:{PORT}/" in block
    run_block(block.replace(f"localhost:{PORT}/", f"127.0.0.1:{endpoint}/"), folder)
    graph, other = (load_graph(str(folder / name)) for name in ("borders", "capitals"))
    assert sorted(graph.entities.labels) == sorted(other.entities.labels)
    sizes = [len(g.train) + len(g.valid) + len(g.test) for g in (graph, other)]
    assert sizes[0] == sizes[1]
    assert "France" in graph.entity_names


def test_a_graph_comes_back_from_turtle(folder: Path) -> None:
    pytest.importorskip("rdflib")
    run_block(find_block("python - <<'END'"), folder)
    graph, again = (load_graph(str(folder / name)) for name in ("capitals", "again"))
    assert list_facts(graph) == list_facts(again)
    names = [dict(zip(g.entities.labels, g.entity_names, strict=True)) for g in (graph, again)]
    types = [dict(zip(g.entities.labels, g.entity_types, strict=True)) for g in (graph, again)]
    assert names[0] == names[1]
    assert types[0] == types[1]


def list_facts(graph: MultimodalGraph) -> set[tuple[str, str, str]]:
    entities, relations = graph.entities.labels, graph.relations.labels
    return {
        (entities[h], relations[r], entities[t])
        for split in SPLIT_NAMES
        for h, r, t in graph.facts(split).tolist()
    }
