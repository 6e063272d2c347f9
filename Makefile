# VENV: where everything is installed. PYTHON: what makes it, 3.11 or newer.
VENV ?= .venv
PYTHON ?= python3
# The versions to install: constraints.txt or constraints-lowest.txt.
CONSTRAINTS ?= constraints.txt
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

# Workers of the tests share the cores; threads of their own would only get in each other's way. One
# more than two cores, since a worker also waits for processes and files.
TEST_WORKERS ?= 3
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest
FILE_BY_FILE := -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder
# What is compiled is kept: tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

# All of them, unless some are named.
TESTS ?=
LOWEST_TESTS := $(wildcard tests/test_*.py) $(addprefix tests/,study report data/hub data/importing \
	data/preparing vocabulary model encoders alignment/test_export.py)

CODE := src tests benchmarks docs

.PHONY: setup demo check test test-slow test-lowest wheel lint docs bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "xling needs Python 3.11 or newer; name one with PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --editable '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/xling demo

# The tests but the slow ones, a file at a time, in the order of tests/conftest.py.
test: $(STAMP)
	$(PYTEST) $(FILE_BY_FILE) -m "not slow" $(TESTS)

# Every verb killed, out of room and given damaged inputs; whole studies.
test-slow: $(STAMP)
	$(PYTEST) -n $(TEST_WORKERS) -m slow

# Lint, types and the tests of what has changed since main, before a commit. One or two files are
# sooner done than workers have begun. (Pytest's status is 5 where all of those are slow.)
check: lint
	tests=$$($(BIN)/python tests/changed.py) && set -- $$tests && if [ $$# -gt 0 ]; then \
		if [ $$# -gt 2 ] || [ -d "$$1" ]; then set -- $(FILE_BY_FILE) "$$@"; fi; \
		$(PYTEST) -m "not slow" "$$@" || [ $$? -eq 5 ]; fi

# Those of the parts that call other packages, with the oldest versions that pyproject.toml allows, in
# an environment of their own.
test-lowest:
	$(MAKE) test VENV=.cache/lowest-venv CONSTRAINTS=constraints-lowest.txt TESTS="$(LOWEST_TESTS)"

# The package as pip installs it, tried from an empty folder.
wheel: $(STAMP)
	rm -rf .cache/wheel
	mkdir -p .cache/wheel/empty
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir .cache/wheel .
	$(BIN)/python -m pip install --quiet --no-deps --target .cache/wheel/installed .cache/wheel/*.whl
	cd .cache/wheel/empty && export PYTHONPATH=$(abspath .cache/wheel/installed) \
		&& xling="$(abspath $(BIN))/python -m xling" \
		&& $$xling --version && $$xling study list && $$xling study run demo --dry-run \
		&& $$xling study show laptop > mine.yaml && $$xling study run mine.yaml --dry-run > jobs.txt

lint: $(STAMP)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy

# The documentation as .cache/docs/index.html; a warning is an error.
docs: $(STAMP)
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -d .cache/docs-pages docs .cache/docs
	@echo .cache/docs/index.html

# One after the other, since they measure time.
bench: $(STAMP)
	$(BIN)/python benchmarks/run.py --json .cache/benchmarks.json

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .cache
