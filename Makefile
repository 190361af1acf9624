# The verbs of work on this project; CONTRIBUTING.md describes them.
#   make PYTHON=python3.13 setup      another Python
#   make tests ARGS="-k stream"       arguments for pytest

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 4
ARGS ?=
RUN = $(VENV)/bin/python -m

.PHONY: help setup style types tests slow long coverage docs bench dist all

help: ## list the verbs
	@grep -E '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## create .venv with everything that development needs
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet -e ".[dev]"

style: ## lint, and check the formatting
	$(RUN) ruff check .
	$(RUN) ruff format --check .

types: ## check the types
	$(RUN) mypy

tests: ## run the fast tests (about two minutes)
	$(RUN) pytest -n $(WORKERS) -m "not slow" $(ARGS)

slow: ## run the slow tests (about five minutes)
	$(RUN) pytest -n 3 --dist worksteal -m "slow and not long" $(ARGS)

long: ## run the tests that take longer still (once before a release)
	$(RUN) pytest -m long $(ARGS)

coverage: ## measure the coverage of the fast tests, and compare it with the recorded figure
	$(VENV)/bin/python .ci/coverage.py

docs: ## build the site into docs/_build, warnings as errors
	$(RUN) sphinx -W --keep-going -q -b html docs docs/_build

bench: ## run the benchmarks (ten minutes on a quiet machine; Linux)
	$(RUN) pip install --quiet -e ".[bench]"
	$(RUN) benchmarks

dist: ## build the source distribution and the wheel into dist/
	$(RUN) build

all: style types tests slow coverage docs dist ## what .ci/run does, in this environment
