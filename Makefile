# make demo    set up and register a real CT to a simulated X-ray
# make test    set up and run every check
# make bench   set up and measure (long); never part of the tests
# PYTHON=...   the interpreter to begin with (3.11 or newer)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests run on this version; without a GPU its CPU build is enough.  Users choose their own.
TORCH := torch==2.13.0

.PHONY: demo test lint bench clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet "$(TORCH)" --editable ".[test]"
	touch $@

$(VENV)/bench-installed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet "$(TORCH)" --editable ".[bench]"
	touch $@

demo: $(VENV)/installed
	$(BIN)/wsreg demo --out demo-output --force

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest

bench: $(VENV)/bench-installed
	$(BIN)/python benchmarks/renderer.py --write
	$(BIN)/python benchmarks/registration.py --write

clean:
	rm -rf $(VENV) demo-output build .mypy_cache .ruff_cache .pytest_cache
