# The first command on a fresh machine; `make` alone lists the targets.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS := .venv-docs
DEMO := experiment=demo data=yelp method=fine_tune,full_retrain,sml hydra.launcher.n_jobs=1 trainer.threads=1

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow fuzz check format docs bench bench-peers clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## SML, fine-tune and full-retrain on generated reviews: bar, one line per period, table (a minute)
	$(BIN)/recretrain run -m $(DEMO)

test: $(READY) ## the test suite without the slow ones
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 -m "not slow"

test-slow: $(READY) ## all tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2

FUZZ := tests/reliability/test_damages.py tests/preparation/test_fuzz.py
fuzz: $(READY) ## a longer search for damages and raw files that are not noticed, and 200 kills (an hour)
	OMP_NUM_THREADS=1 $(BIN)/pytest --hypothesis-profile=long $(FUZZ)
	OMP_NUM_THREADS=1 RECRETRAIN_KILLS=200 $(BIN)/pytest -s tests/reliability/test_kills.py -k anywhere

check: $(READY) ## ruff, formatting, strict mypy of the package and of the code in the documents
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python scripts/blocks.py build/blocks README.md docs/*.md
	$(BIN)/mypy --strict build/blocks

format: $(READY) ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DOCS)/.ready ## the documents as a site in build/site; a link that leads nowhere is an error
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict

bench: $(READY) ## speed and memory as ratios, beside version 0.1 and other libraries (PARTS="speed threads": some of it)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks $(PARTS)

bench-peers: $(READY) ## RecBole, Cornac and implicit beside ours, in an environment of their own (ten minutes)
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks peers

clean: ## remove what tools left; data/ and outputs/ stay
	rm -rf $(VENV) $(DOCS) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "recretrain needs Python 3.11 to 3.13; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,slurm]"
	@touch $@

# The site's builder reads the package without importing it, so that it needs none of the program's libraries.
$(DOCS)/.ready: docs/constraints.txt
	test -x $(DOCS)/bin/python || $(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -r docs/constraints.txt
	@touch $@
