# Every target sets up what it needs. `make` alone prints this list.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-slow check format serve up chaos fuzz fuzz-api audit bench-api bench-ot bench-job bench-selection paper docs docs-serve figures screenshots lock clean

# Threads that spin while they wait take the cores from everybody else.
export OMP_WAIT_POLICY ?= PASSIVE

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
BENCH_VENV := .venv-bench
BENCH_INSTALLED := $(BENCH_VENV)/.installed
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -c .locks/constraints.txt

help: ## Print this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Create the virtual environment from the hashed locks

$(INSTALLED): pyproject.toml .locks/uv.txt .locks/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "OT3L needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .locks/uv.txt
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes .locks/uv.txt .locks/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# The peers live apart from what we ship and test with; both environments share their files through uv's cache.
$(BENCH_INSTALLED): $(INSTALLED) .locks/bench.txt
	$(PYTHON) -m venv --without-pip $(BENCH_VENV)
	$(BIN)/uv pip sync --quiet --python $(BENCH_VENV)/bin/python --require-hashes .locks/uv.txt .locks/dev.txt .locks/bench.txt
	@touch $@

demo: setup ## Run the whole path on real images: distances, six strategies, a checkpoint (ARGS=--production, ARGS='--url ...')
	$(BIN)/python docs/examples/demo.py $(ARGS)

serve: setup ## Start the service and leave it running (PORT=8000, ROOTS=folders of data, separated by colons)
	$(BIN)/python -m app.local.embedded $(if $(PORT),--port $(PORT)) $(if $(ROOTS),--roots $(ROOTS))

up: setup ## The same in its production shape: PostgreSQL, Valkey, S3, several API processes and workers, no containers
	$(BIN)/python -m app.local.production $(if $(PORT),--port $(PORT)) $(if $(ROOTS),--roots $(ROOTS)) $(ARGS)

# A file's tests stay together, and with them the servers that they share.
test: setup ## Run every test but the slow ones, with coverage, in two processes
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term-missing:skip-covered $(ARGS)

test-slow: setup ## Run the tests that take minutes
	$(BIN)/python -m pytest -m slow $(ARGS)

fuzz: setup ## Damage valid files of every kind, guided by coverage, and see that readers refuse them (ARGS='--runs 100000')
	$(BIN)/python -m tests.hostile.fuzz $(ARGS)

audit: setup ## Look up what is known against the locked packages; needs the network
	$(BIN)/pip-audit --disable-pip --require-hashes -r .locks/worker.txt

bench-api: setup ## Measure what polls, submissions, lists, streams and downloads cost beside bare peers (ARGS=--quick)
	$(BIN)/python -m benchmarks.api $(ARGS)

bench-ot: $(BENCH_INSTALLED) ## Measure the transport engine against its peers (DATA=folder of real data, ARGS=--quick)
	$(BENCH_VENV)/bin/python -m benchmarks.ot_engine $(if $(DATA),--data $(DATA)) $(ARGS)

paper: setup ## Run the paper's experiments over your data sets (DATA=folder, ARGS='--preset full')
	$(BIN)/python -m benchmarks.paper $(if $(DATA),--data $(DATA)) $(ARGS)

bench-job: setup ## Measure a whole job against one bare forward pass and the usual recipe (DATA=folder, ARGS=--quick)
	$(BIN)/python -m benchmarks.job $(if $(DATA),--data $(DATA)) $(ARGS)

bench-selection: setup ## Measure what strategies gain over random choice, and judge the goals (DATA=folder or one data set, ARGS=--tried)
	$(BIN)/python -m benchmarks.selection $(if $(DATA),--data $(DATA)) $(ARGS)

chaos: setup ## Do hundreds of faults to the production shape, and judge what became of its jobs (ARGS='--seed 1 --faults 500 --jobs 300')
	$(BIN)/python -m benchmarks.chaos $(ARGS)

fuzz-api: setup ## Try the API's document on both shapes with schemathesis (OT3L_FUZZ_EXAMPLES=50, OT3L_FUZZ_SEED=1)
	$(BIN)/python -m pytest -m slow -s tests/e2e/test_schemathesis.py $(ARGS)

screenshots: setup ## Take the documentation's pictures of the dashboard again; needs a Chromium, and minutes
	$(BIN)/python -m docs.figures.screenshots

check: setup ## Lint, types and import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# Warnings of the build are errors: a link that leads nowhere, an anchor that is not there.
docs docs-serve: export NO_MKDOCS_2_WARNING := 1

docs: setup ## Build the documentation as a site into .site, for any web server
	$(BIN)/python -m mkdocs build --strict --config-file .mkdocs.yml
	@echo "in .site; make docs-serve shows it"

docs-serve: setup ## Show the documentation on 127.0.0.1 while it is written (PORT=8001)
	$(BIN)/python -m mkdocs serve --config-file .mkdocs.yml --dev-addr 127.0.0.1:$(or $(PORT),8001)

figures: setup ## Draw the figures of the documentation again, into docs/images
	$(BIN)/python -m docs.figures

format: setup ## Format and fix what can be fixed
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(BIN)/uv ## Resolve the dependencies again, within pyproject.toml and .locks/constraints.txt
	echo uv | $(BIN)/uv pip compile - --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o .locks/uv.txt
	$(LOCK) --all-extras --group dev -o .locks/dev.txt
	$(subst pyproject.toml,--group bench,$(LOCK)) -c .locks/dev.txt -o .locks/bench.txt
	$(LOCK) -c .locks/dev.txt -o .locks/api.txt
	$(LOCK) -c .locks/dev.txt --extra worker -o .locks/worker.txt

$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .locks/uv.txt

clean: ## Remove the virtual environment, caches and the data of `make serve` and `make up`
	rm -rf $(VENV) $(BENCH_VENV) .site .ot3l .ot3l-up .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
