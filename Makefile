# Development commands; CONTRIBUTING.md describes them.
#   make PYTHON=python3.13 VENV=.venv3.13 setup      use another Python
#   make tests ARGS="-k stream"                      pass arguments to pytest
#   make tests WORKERS=2                             run fewer tests at once

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 3
ARGS ?=
RUN = $(VENV)/bin/python -m

.PHONY: help setup style types tests slow oldest long coverage docs bench dist all

help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## create .venv with the package and all development tools
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet -e ".[dev]"

style: ## lint, and check formatting
	$(RUN) ruff check .
	$(RUN) ruff format --check .

types: ## check the types
	$(RUN) mypy

tests: ## run the fast tests (about two minutes)
	$(RUN) pytest -n $(WORKERS) -m "not slow" $(ARGS)

slow: ## run the slow tests (about five minutes)
	$(RUN) pytest -n 3 --dist worksteal -m "slow and not long and not alone" $(ARGS)
	$(RUN) pytest -m "alone and not long" $(ARGS)

oldest: ## run the fast tests with the oldest supported versions, in .venv-oldest
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet -e ".[test]" -c .ci/oldest.txt
	.venv-oldest/bin/python -m pytest -n $(WORKERS) -m "not slow" $(ARGS)

long: ## run the long tests (once before a release)
	$(RUN) pytest -m long $(ARGS)

coverage: ## measure coverage of the fast tests, and compare it with .ci/coverage.txt
	$(VENV)/bin/python .ci/coverage.py

docs: ## build the documentation into docs/_build, with warnings as errors
	$(RUN) sphinx -W --keep-going -q -b html docs docs/_build

bench: ## run the benchmarks (about 17 minutes on a quiet machine; Linux)
	$(RUN) pip install --quiet -e ".[bench]"
	$(RUN) benchmarks

dist: ## build the source distribution and the wheel into dist/
	$(RUN) build

all: style types tests slow coverage docs dist ## run all checks of .ci/run except the installed wheel, in this environment
