# Two commands are all a newcomer needs: `make run` and `make test`. Both set up `.venv` first.
PYTHON ?= python3
PRESET ?= quickstart
BIN := .venv/bin
SHELL := /bin/bash

.PHONY: run test test-slow check audit format setup bench bench-all clean

run: setup  ## the whole pipeline on the embedded corpus
	@$(BIN)/gdflow run --preset $(PRESET)

test: setup  ## the tests, but for those that take minutes
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-slow: setup  ## the tests that take minutes
	$(BIN)/python -m pytest -m slow --timeout 1800

check: setup audit  ## format, lint, types, who may import whom, and known flaws of dependencies
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright
	$(BIN)/lint-imports

audit: setup
	$(BIN)/python tests/audit.py

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## a quarter of an hour of races against what a user would take instead
	$(BIN)/python -m benchmarks

bench-all: setup  ## all of them, at full length
	$(BIN)/python -m benchmarks --all

setup: .venv/ready

.venv/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "gdflow needs Python 3.11 or newer; $$($(PYTHON) --version) was found. Try: make PYTHON=python3.12"; exit 2; }
	@echo "Setting up .venv with the versions of constraints.txt (some minutes, once) …"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu,dev]'
	@touch $@

clean:  ## the environment and what was built; artifacts/ and runs/ stay
	rm -rf .venv build dist *.egg-info
