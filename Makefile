# make demo   train on the bundled world graph and look at the result
# make test   the whole test suite
# make browser  the tests of the page in Chromium, which is installed where apt can
# make check  format, lint, types, import direction

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test browser check clean

demo: $(VENV)/.momok
	$(BIN)/momok demo

test: $(VENV)/.momok-dev
	$(BIN)/python -m pytest

browser: $(VENV)/.momok-dev
	command -v chromium >/dev/null || apt-get install -y --no-install-recommends chromium || \
	  echo "Chromium could not be installed; without it these tests are skipped"
	$(BIN)/python -m pytest tests/browser -n 1 -rs

check: $(VENV)/.momok-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(VENV) build dist

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Installed anew when what is to be installed changes.
$(VENV)/.momok: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/.momok-dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e '.[dev,data,tensorboard,wandb,use,text,image,vision,efficientnet,fetch,hdf5,report,search,ray,serve]'
	touch $@ $(VENV)/.momok
