# Every chore of AuraLink, one target each. `make run` and `make test` do all the set-up they need.
#
# ARGS goes to the program behind a target:  make run ARGS="--port 9000"    make test ARGS="tests/sfu -k stun"

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
CHECKED := signalling sfu state turn_probe loadtest
RUNTIME := .venv/runtime.stamp
DEV := .venv/dev.stamp
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCK := $(BIN)/uv pip compile --quiet --system-certs --universal --python-version 3.11 --generate-hashes --no-header \
        --no-annotate $(ARGS) pyproject.toml --group build

.PHONY: help run test test-long test-packages lint format bench lock clean
.DEFAULT_GOAL := help

help: ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

run: $(RUNTIME) ## start the server and print its address
	@exec $(BIN)/auralink serve $(ARGS)

# What measures media or time has the machine to itself; of the rest, which mostly waits, three tests run at a time.
# Machines are shared, and stand still at times: a few tests that fail are tried once more, and the summary says why.
AGAIN := --reruns 1 --max-suite-reruns 8 --rerun-show-tracebacks -ra
define tests
$(if $(ARGS),\
	$(BIN)/python -m pytest -m "$(1)" $(ARGS),\
	$(BIN)/python -m pytest -m "($(1)) and not alone" $(AGAIN) -n 3 --dist loadfile && \
	$(BIN)/python -m pytest -m "($(1)) and alone" $(AGAIN))
endef

test: $(DEV) test-packages ## every promise, with shortened timers
	$(call tests,not long)

test-long: $(DEV) test-packages ## every promise, also those with default timers and long durations
	$(call tests,long or not long)

test-packages:
	@tests/install-debian-packages

lint: $(DEV) ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict $(CHECKED)
	$(BIN)/lint-imports

format: $(DEV) ## put all Python into the one format
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .

bench: $(DEV) ## CPU time per forwarded packet, beside a bare sendto
	$(BIN)/python -m loadtest.bench $(ARGS)

lock: $(DEV) ## pin what pyproject.toml asks for; ARGS=--upgrade takes newer versions
	$(LOCK) --output-file requirements.lock
	$(LOCK) --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove what can be made again
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps say which lock the virtual environment was filled from; a newer lock or pyproject.toml fills it again.

$(RUNTIME): requirements.lock pyproject.toml | $(BIN)/pip
	$(INSTALL) --require-hashes --requirement requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV): requirements-dev.lock $(RUNTIME)
	$(INSTALL) --require-hashes --requirement requirements-dev.lock
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	|| { echo "AuraLink needs Python 3.11 or newer, and \"$(PYTHON)\" is not; try: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	|| { echo "Python cannot make virtual environments here; as root, run: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv
