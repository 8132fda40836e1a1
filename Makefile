# Each target makes the environment that it needs.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
# Slow tests that want the machine for themselves: they watch its processes, its clock, or a browser.
ALONE := $(addprefix tests/test_,attacks.py sealed.py losses_of_a_run.py mutation.py pages.py reading.py site.py site_nginx.py)
BESIDE_TORCH := $(addprefix tests/test_,attention.py convolution.py graphs.py losses.py normalisation.py optimisers.py other_libraries.py schedules.py torch_operator_samples.py transforms.py weighted_losses.py)

help:                   ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18

book: html              ## build the book and serve it at the address printed
	$(BIN)/python -u -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

html: .venv/made        ## build the book; a warning is an error
	rm -rf _build  # its cache does not see edits of minigrad
	$(BIN)/jupyter-book build . -W --keep-going

site: html              ## the book with Python in it, as it is published: cells and notebooks run in the browser
	$(BIN)/python book/_online/build.py _build/html .pyodide

test: lint              ## what a change must pass
	$(BIN)/coverage run -m pytest  # not --cov: our plugin for pytest loads the package before that begins to count
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --show-missing --skip-covered --fail-under=98
	$(MAKE) html

test-slow: .venv/made .venv-bench/made .venv-nbgrader/made  ## the tests that take longer, and those beside PyTorch, JAX and nbgrader
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile $(addprefix --ignore=,$(ALONE))
	$(BIN)/python -m pytest -m slow $(ALONE)
	.venv-bench/bin/python -m pytest $(BESIDE_TORCH) -k "torch or jax or other_libraries"

exercises: .venv/made   ## make the exercises and the executed solutions from solutions/*.md
	$(BIN)/python -m minigrad.classroom.notebooks solutions exercises
	MINIGRAD_STRICT=1 MINIGRAD_STATIC=1 $(BIN)/python -m pytest --nbval --nbval-cell-timeout=60 solutions

check: .venv/made       ## judge the exercises in this folder: make check SET=04
	MINIGRAD_STRICT=1 $(BIN)/python -m pytest --nbval-lax --nbval-cell-timeout=60 -q exercises/$(SET)-*.ipynb

lint: .venv/made
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/codespell
	$(BIN)/mypy

format: .venv/made      ## lay out the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: .venv/made .venv-bench/made .venv-nbgrader/made  ## time minigrad beside its peers, and grading beside nbgrader
	.venv-bench/bin/python benchmarks/run.py
	$(BIN)/python benchmarks/grading.py

clean:                  ## remove what make made
	rm -rf .venv .venv-bench .venv-nbgrader .pyodide _build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache

.venv/made: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This needs Python 3.11 or newer: try make PYTHON=python3.13")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -r requirements.txt -e .
	mkdir -p .venv/etc/ipython  # else every kernel warns of its sockets, which nobody outside this machine can reach
	echo 'c.IPKernelApp.log_level = "ERROR"' > .venv/etc/ipython/ipython_kernel_config.py
	touch $@

.venv-bench/made: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install -c requirements.txt -e '.[bench]'
	touch $@

.venv-nbgrader/made: pyproject.toml
	$(PYTHON) -m venv .venv-nbgrader
	.venv-nbgrader/bin/pip install -c requirements.txt -e '.[nbgrader]'
	touch $@

.PHONY: help book html site test test-slow exercises check lint format bench clean
