# make demo   train on the bundled world graph and look at the result
# make test   the whole test suite
# make browser  the tests of the page in Chromium, which is installed where apt can
# make docs   the docs site, into site/
# make check  format, lint, types, import direction, links of the docs site

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test browser docs check clean

demo: $(VENV)/.momok
	$(BIN)/momok demo

test: $(VENV)/.momok-dev
	$(BIN)/python -m pytest

browser: $(VENV)/.momok-dev
	command -v chromium >/dev/null || apt-get install -y --no-install-recommends chromium || \
	  echo "Chromium could not be installed; without it these tests are skipped"
	$(BIN)/python -m pytest tests/browser -n 1 -rs

# Beside the pages, llms.txt and the Markdown that it links to.
docs: $(VENV)/.momok-dev
	rm -rf site
	$(BIN)/zensical build --clean --strict
	cp docs/llms.txt docs/*.md site/
	cp docs/notebooks/*.md site/notebooks/

check: $(VENV)/.momok-dev docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) .cache build dist site

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Installed anew when what is to be installed changes.
$(VENV)/.momok: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/.momok-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[dev,data,tensorboard,wandb,use,text,image,vision,efficientnet,fetch,hub,exchange,hdf5,map,search,ray,serve,docs]'
	touch $@ $(VENV)/.momok
