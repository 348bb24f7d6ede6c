"""Files around the code agree: version, extras, packaging, workflows, container."""

from __future__ import annotations

import json
import re
import tomllib
from itertools import chain
from pathlib import Path

import click
import pytest
import sqlalchemy as sa

import momok
from momok.cli import main

yaml = pytest.importorskip("yaml")

CHECKOUT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = set(PROJECT["project"]["optional-dependencies"])
FORMS = sorted((CHECKOUT / ".github").rglob("*.yml"))


def read(name: str) -> str:
    return (CHECKOUT / name).read_text(encoding="utf-8")


def test_there_is_one_version() -> None:
    assert PROJECT["project"]["version"] == momok.__version__
    citation = yaml.safe_load(read("CITATION.cff"))
    released = re.findall(r"^## (\S+) - (\d{4}-\d\d-\d\d)$", read("CHANGELOG.md"), re.M)
    assert released[0] == (momok.__version__, str(citation["date-released"]))
    assert citation["version"] == momok.__version__
    assert citation["license"] == PROJECT["project"]["license"]


def test_extras_that_are_named_exist() -> None:
    pages = [*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md"), CHECKOUT / "Makefile"]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages) + read("Dockerfile")
    named = re.findall(r"'(?:\.|momok)\[([\w,]+)\]'", text)
    assert len(named) > 5
    assert {extra for extras in named for extra in extras.split(",")} <= EXTRAS


def test_what_is_installed_for_development_has_every_extra() -> None:
    (named,) = re.findall(r"-e '\.\[([\w,]+)\]'", read("Makefile"))
    assert set(named.split(",")) == EXTRAS


def test_every_requirement_has_a_tested_version() -> None:
    pinned = {line.split("==")[0] for line in read("constraints.txt").splitlines()[1:]}
    pinned = {re.sub(r"[-_.]+", "-", name).lower() for name in pinned}
    extras = PROJECT["project"]["optional-dependencies"]
    for requirement in chain(PROJECT["project"]["dependencies"], *extras.values()):
        name = re.split(r"[\[><=;]", requirement)[0]
        assert re.sub(r"[-_.]+", "-", name).lower() in pinned


def test_the_sources_have_all_that_the_tests_read() -> None:
    for name in PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]:
        assert (CHECKOUT / name).exists(), name


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.name)
def test_workflows_and_forms_can_be_read(form: Path) -> None:
    value = yaml.safe_load(form.read_text(encoding="utf-8"))
    if form.parent.name == "ISSUE_TEMPLATE":
        assert {"name", "description", "body"} <= set(value)
        asked = [field for field in value["body"] if field["type"] != "markdown"]
        assert all(field["id"] and field["attributes"]["label"] for field in asked)
        return
    targets = set(re.findall(r"^(\w+):", read("Makefile"), re.M))
    for job in value["jobs"].values():
        assert job["timeout-minutes"]
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert set(re.findall(r"^make (\w+)", step.get("run", ""), re.M)) <= targets


def test_ci_has_the_versions_that_the_package_names() -> None:
    matrix = yaml.safe_load(read(".github/workflows/ci.yml"))["jobs"]["test"]["strategy"]["matrix"]
    prefix = "Programming Language :: Python :: "
    named = [c.removeprefix(prefix) for c in PROJECT["project"]["classifiers"] if prefix in c]
    assert matrix["python"] == named


def test_the_container_is_built_of_files_that_are_sent_to_it() -> None:
    sent = {line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", read("Dockerfile"), re.M)
    assert {name for names in copied for name in names.split()} == sent
    assert all((CHECKOUT / name).exists() for name in sent)
    *_, stage = read("Dockerfile").split("\nFROM ")
    assert re.search(r"^USER (?!root)\w+$", stage, re.M)
    (check,) = re.findall(r"HEALTHCHECK .*?CMD (\[.*?\])$", stage, re.M | re.S)
    program, option, code = json.loads(check)
    assert (program, option) == ("python", "-c")
    compile(code, "HEALTHCHECK", "exec")


def test_what_compose_starts_is_what_there_is() -> None:
    """Its container serves with options that exist, in the volume that the image has."""
    project = yaml.safe_load(read("compose.yaml"))
    served, database = project["services"]["momok"], project["services"]["database"]
    name, run, *options = served["command"]
    command = main.get_command(click.Context(main), name)
    assert command is not None
    command.make_context(name, [run, *options], resilient_parsing=False)
    known = {option.envvar for option in command.params if option.envvar}
    assert {key for key in served["environment"] if key.startswith("MOMOK_")} <= known
    (folder,) = re.findall(r"^VOLUME (\S+)$", read("Dockerfile"), re.M)
    assert served["volumes"] == [f"runs:{folder}"]
    assert run.startswith(f"{folder}/")
    assert "'psycopg[binary]'" in read("Dockerfile")
    address = sa.make_url(served["environment"]["MOMOK_REVIEWS"])
    given = database["environment"]
    assert address.drivername == "postgresql+psycopg"
    assert address.host in project["services"]
    assert (address.username, address.database) == (given["POSTGRES_USER"], given["POSTGRES_DB"])
    asked = "${POSTGRES_PASSWORD:?set POSTGRES_PASSWORD in .env}"
    assert served["environment"]["PGPASSWORD"] == given["POSTGRES_PASSWORD"] == asked
    mounted = {volume.partition(":")[0] for volume in served["volumes"] + database["volumes"]}
    assert mounted == set(project["volumes"])
    assert served["depends_on"]["database"]["condition"] == "service_healthy"
    assert "healthcheck" in database
