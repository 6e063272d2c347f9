# VENV: where everything is installed. PYTHON: what makes it, 3.11 or newer.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
STAMP := $(VENV)/installed

# Workers of the tests share the cores; threads of their own would only get in each other's way.
TEST_WORKERS ?= 2

CODE := src tests benchmarks docs

.PHONY: setup demo test lint docs bench clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "xling needs Python 3.11 or newer; name one with PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/xling study run studies/demo.yaml --out runs/demo

test: $(STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile

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
	$(BIN)/python benchmarks/conlang.py
	$(BIN)/xling data conlang studies/worlds/demo.yaml .cache/bench-data
	$(BIN)/python benchmarks/tokens.py --like .cache/bench-data --language aa
	$(BIN)/python benchmarks/pretraining.py
	$(BIN)/python benchmarks/code_switching.py
	$(BIN)/python benchmarks/transfer.py
	$(BIN)/python benchmarks/tree_decoding.py
	$(BIN)/python benchmarks/geometry.py

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .cache
