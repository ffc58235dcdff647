# Every target starts from nothing but python3 >= 3.11 with venv and pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCES := service tests migrations benchmarks
SEED ?= 1
JOBS ?= 10000
FAULTS ?= 1000
EXAMPLES ?= 200
PORT ?= 8000

# Without the two faults after which nothing is submitted for a quarter of a minute.
SHORT_CHAOS := --seed 1 --jobs 150 --faults 25 --lull 0.3 0.8 --quiet 120 \
	--without "token revoked" --without "account empty"

# Each of the many processes of a test would compile the whole service anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo dev test check fuzz chaos planted fix bench lock clean

help: ## What can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-7s %s\n", $$1, $$2}'

$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "edit-jobs needs Python 3.11 or newer, and this is " + sys.version.split()[0])'
	@echo "Installing what edit-jobs needs into $(VENV) (about a minute, once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## Run the main job end to end on an empty machine
	@$(BIN)/edit-jobs demo

dev: $(READY) ## The whole service on this machine, until Ctrl-C (PORT)
	@$(BIN)/edit-jobs dev --port $(PORT)

# In the order of the folders, but from several places at once: what starts whole stacks comes first, in one
# process, which so needs one of them.
test: $(READY) ## All tests
	@$(BIN)/python -m pytest -n 4 --dist worksteal  # tests wait as much as they compute: two for each of two cores

check: $(READY) ## What CI runs: format, lint, imports, types, tests, a short chaos
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/mypy
	@$(MAKE) --no-print-directory test
	@cd tests && ../$(BIN)/python -m chaos.run $(SHORT_CHAOS)

fuzz: $(READY) ## schemathesis on the running service for longer (SEED, EXAMPLES), some minutes
	@FUZZ_SEED=$(SEED) FUZZ_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest tests/integration/test_schemathesis.py

chaos: $(READY) ## 10,000 jobs through 1,000 faults (SEED, JOBS, FAULTS), a quarter of an hour
	@cd tests && ../$(BIN)/python -m chaos.run --seed $(SEED) --jobs $(JOBS) --faults $(FAULTS)

planted: $(READY) ## Chaos with each of three bugs planted: each must be found
	@cd tests && ../$(BIN)/python -m chaos.planted

fix: $(READY) ## Format, and mend what the linter can mend
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

bench: $(READY) ## All benchmarks, one after the other
	@for benchmark in benchmarks/[a-z]*.py; do $(BIN)/python $$benchmark || exit 1; done

lock: $(READY) ## Pin the newest allowed versions, with hashes
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --extra embedded --extra dev -c requirements.lock pyproject.toml requirements-build.in -o requirements-dev.lock

clean: ## Remove what was installed and what dev kept
	rm -rf $(VENV) .edit-jobs
