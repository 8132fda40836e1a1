# Each target makes the environment that it needs.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin

help:                   ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

book: html              ## build the book and serve it at the address printed
	$(BIN)/python -u -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

html: .venv/made        ## build the book; a warning is an error
	rm -rf _build  # its cache does not see edits of minigrad
	$(BIN)/jupyter-book build . -W --keep-going

test: lint              ## what a change must pass
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered --cov-fail-under=98
	$(MAKE) html

test-slow: .venv/made   ## the tests that take longer
	$(BIN)/python -m pytest -m slow

lint: .venv/made
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell

format: .venv/made      ## lay out the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv-bench/made ## time minigrad beside its peers
	.venv-bench/bin/python benchmarks/run.py

clean:                  ## remove what make made
	rm -rf .venv .venv-bench _build .coverage .hypothesis .pytest_cache .ruff_cache

.venv/made: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This needs Python 3.11 or newer: try make PYTHON=python3.13")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -r requirements.txt -e .
	touch $@

.venv-bench/made: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install -c requirements.txt -e '.[bench]'
	touch $@

.PHONY: help book html test test-slow lint format bench clean
