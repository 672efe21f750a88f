# make quickstart      set up .venv, run a small sweep, show its result
# make test            set up .venv, run the tests
# make check           everything: lint, format, types, import rules, tests
# make lint            the same without the tests
# make test-slurm      the tests on a private Slurm (slurm/devcluster install)
# make faults          more of the random faults there: make faults SEEDS=50
# make notebook        set up Jupyter in .venv, open the notebooks in it
# make notebooks       run the notebooks on small sweeps
# make bench           speed and memory on this machine, for the page on performance
# make bench-scale     driver and store with up to 10^10 points and 1,000 workers that do nothing, for the page on performance
# make bench-verdicts  2,000 nonlinear points against their truths, for the page on trust: half an hour on one core
# make bench-slurm     sweeps in jobs of a private Slurm, for the page on performance
# make accuracy        5,000 random points against 900-bit arithmetic, for the page on accuracy: half an hour, then minutes
# make figures         solve the workflows and draw the pictures of the README and the gallery again
# make docs            build the documentation into build/docs; a warning is an error
# make clean           remove .venv and runs

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

SEEDS ?= 50

.PHONY: quickstart test test-slurm faults check lint bench bench-scale bench-verdicts bench-slurm accuracy notebook notebooks \
	figures docs clean

quickstart: $(VENV)/.user
	$(BIN)/qbsweep run workflows/quickstart.yaml

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto --dist loadfile -m 'not slurm'

# Mostly waiting, so more processes than cores do no harm; but what loads the machine, or has little time, runs alone.
ALONE = (hundred or thousand or (longer and allocation))
test-slurm: $(VENV)/.dev
	$(BIN)/python -m pytest -n 3 -m slurm -k 'not $(ALONE)' tests/slurm
	$(BIN)/python -m pytest -m slurm -k '$(ALONE)' tests/slurm

faults: $(VENV)/.dev
	QBSWEEP_FAULT_SEEDS=$(SEEDS) $(BIN)/python -m pytest -n 4 -k at_random tests/slurm/test_faults.py

check: lint test

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/pip install --quiet -c constraints.txt -e '.[bench]'
	$(BIN)/python tests/benchmarks/record.py solver
	$(BIN)/python tests/benchmarks/record.py workflow
	$(BIN)/python tests/benchmarks/record.py lindblad
	$(BIN)/python tests/benchmarks/record.py predictions

bench-scale: $(VENV)/.dev
	$(BIN)/python tests/benchmarks/record.py scale --full

bench-verdicts: $(VENV)/.dev
	$(BIN)/python tests/benchmarks/record.py verdicts

bench-slurm: $(VENV)/.dev
	$(BIN)/python tests/benchmarks/record.py cluster

accuracy: $(VENV)/.dev
	$(BIN)/python -m tests.accuracy.record

notebook: $(VENV)/.notebook
	$(BIN)/jupyter lab notebooks

notebooks: $(VENV)/.dev
	QBSWEEP_SMALL=1 $(BIN)/python tests/notebooks.py

figures: $(VENV)/.dev
	$(BIN)/python docs/generate/figures.py

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

clean:
	rm -rf $(VENV) runs

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "qbsweep needs Python 3.11 or later; say which with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.user: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e '.[figures]'
	@touch $@

$(VENV)/.notebook: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e '.[notebooks]'
	@touch $@ $(VENV)/.user

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,figures,docs]'
	@touch $@ $(VENV)/.user
