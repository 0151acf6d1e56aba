# The commands a person types. `make help` lists them.
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-lowest test-pythons check conformance storm fuzz protos statements settings stubs stubs-tools bench lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTHONS ?= 3.12 3.13 3.14
STAMP := $(VENV)/.installed
COMPILE := $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-emit-find-links --no-annotate --no-header
# What `make test-fast` runs: the rules, the store, the protocol's scenarios, and flows embedded and on a server. Not
# the state machines, the tests of several servers, and the other languages.
FAST := tests/unit tests/conformance $(foreach of,tasks flows,tests/integration/test_sdk_$(of).py)
PROTOS := $(sort $(wildcard protos/clearway/v1/*.proto))

help: ## List these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

setup: $(STAMP) ## Install the locked versions into .venv

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"Clearway needs Python 3.11 or later; $(PYTHON) is {v.major}.{v.minor}. Try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Setting up $(VENV) with the locked versions ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: $(STAMP) ## Verify every installed Python distribution, as an orchestrated flow
	@$(BIN)/python examples/verify_packages.py

test: $(STAMP) ## Run the tests
	@$(BIN)/python -m pytest -n logical --dist loadfile

test-fast: $(STAMP) ## Run the tests of the inner loop, under a minute; before a commit run `make test`
	@$(BIN)/python -m pytest -n logical --dist loadfile -m "not slow" $(FAST)

test-lowest: $(STAMP) ## Run the tests of the inner loop with the oldest versions that pyproject.toml allows
	@$(PYTHON) -m venv .venv-lowest
	@.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/requirements-lowest.lock
	@.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@.venv-lowest/bin/python -m pytest -n logical --dist loadfile -m "not slow" $(FAST)

test-pythons: $(STAMP) ## Run the tests of the inner loop with each later Python of this machine
	@tests/pythons.sh $(PYTHONS) -- -n logical --dist loadfile -m "not slow" $(FAST)

check: $(STAMP) ## Lint, types, import rules, proto rules, fresh generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint protos
	$(BIN)/buf breaking protos --against protos/released.binpb
	$(BIN)/python protos/generate.py --check
	$(BIN)/python protos/reference.py --check
	$(BIN)/python service/generate.py --check
	$(BIN)/python sdk/settings_page.py --check

conformance: $(STAMP) ## Play the conformance scenarios on a server; ADDRESS=host:port names yours
	@PYTHONPATH=tests $(BIN)/python -m conformance $(if $(ADDRESS),--address $(ADDRESS))

storm: $(STAMP) ## Kill, stop and cut servers and clients, and check; STORM="--seconds 600 --seed 7"
	@PYTHONPATH=tests $(BIN)/python -m faults.storm $(STORM)

fuzz: $(STAMP) ## Send hostile messages to a server; FUZZ="--messages 100000 --seed 3"
	@PYTHONPATH=tests $(BIN)/python -m fuzz $(FUZZ)

protos: $(STAMP) ## Generate the Python stubs and docs/reference/ from protos/
	@$(BIN)/python protos/generate.py
	@$(BIN)/python protos/reference.py

statements: $(STAMP) ## Render the SQL that the service executes as it stands
	@$(BIN)/python service/generate.py

settings: $(STAMP) ## Write the tables of docs/settings.md
	@$(BIN)/python sdk/settings_page.py

stubs: $(STAMP) ## Generate the stubs of other languages; CHECK=1 compares, ONLY=go picks
	@$(BIN)/python protos/stubs.py $(if $(CHECK),--check) $(if $(ONLY),--only $(ONLY))

stubs-tools: $(STAMP) ## Get the plugins for `make stubs` into .tools (needs go, npm, mvn)
	@$(BIN)/python protos/stubs.py --install $(if $(CHECK),--check) $(if $(ONLY),--only $(ONLY))

bench: $(STAMP) ## Measure the figures in the docs, beside the bare limits
	@PYTHONPATH=tests $(BIN)/python -m benchmarks $(BENCH)

lock: $(STAMP) ## Resolve the dependencies again into requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(COMPILE) --group dev -o requirements.lock pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --resolution lowest-direct --no-annotate --no-header \
	  -o tests/lowest.txt pyproject.toml
	@$(COMPILE) --group dev -c tests/lowest.txt -o tests/requirements-lowest.lock pyproject.toml
	@rm tests/lowest.txt
	@$(COMPILE) --group optional -c requirements.lock -o tests/requirements-optional.lock

clean: ## Remove .venv and caches
	rm -rf $(VENV) .venv-* .tools gen .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	rm -rf examples/typescript/node_modules examples/typescript/dist
