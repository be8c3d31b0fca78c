# Everything runs in .venv, made and filled on first use. Needs Python 3.11 or later with venv, and make; nothing else.
#
#   make demo       three quarters of a minute of the demo, its ledger kept in build/demo (DEMO="--healthy" or any other options)
#   make test       all checks: lint and every test
#   make lint       style, types, import directions
#   make test-fast  the same without the slow tests
#   make bench      measurements
#   make soak       an hour of mixed load, and whether memory grew (MINUTES=5 for a shorter one)
#   make screenshots  the pictures of the README anew, from a demo (needs Debian's chromium)
#   make lock       writes requirements.txt anew from pyproject.toml

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SOURCES := comparators proxy tests
DEMO ?= --duration 45 --keep build/demo
MINUTES ?= 60
PIP_OPTIONS := --disable-pip-version-check --quiet

.PHONY: install demo test test-fast bench soak screenshots lint style types imports lock clean

install: $(STAMP)

# Only wheels, so that no compiler is needed; without build isolation, so that setuptools is the pinned one too.
$(STAMP): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 or later on PATH; install one or say make PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(PIP_OPTIONS) --only-binary :all: -r requirements.txt
	$(BIN)/python -m pip install $(PIP_OPTIONS) --no-deps --no-build-isolation --editable .
	touch $@

demo: install
	rm -rf build/demo
	$(BIN)/shadowread demo $(DEMO)

test: lint
	$(BIN)/python -m pytest

test-fast: lint
	$(BIN)/python -m pytest -m "not slow"

screenshots: install
	$(BIN)/python -m tests.browser.screenshots

bench: install
	$(BIN)/python -m tests.bench.bench_compare
	$(BIN)/python -m tests.bench.bench_identity
	$(BIN)/python -m tests.bench.bench_direct
	$(BIN)/python -m tests.bench.bench_ledger
	$(BIN)/python -m tests.bench.bench_examine
	$(BIN)/python -m tests.bench.bench_gate
	$(BIN)/python -m tests.bench.bench_aligned
	$(BIN)/python -m tests.bench.bench_telemetry
	$(BIN)/python -m tests.bench.bench_redact
	$(BIN)/python -m tests.bench.bench_throughput
	$(BIN)/python -m tests.bench.bench_cost
	$(BIN)/python -m tests.bench.bench_isolation

soak: install
	$(BIN)/python -m tests.bench.bench_soak --minutes $(MINUTES)

lint: style types imports

style: install
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: install
	$(BIN)/mypy

imports: install
	$(BIN)/lint-imports

lock:
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install $(PIP_OPTIONS) --upgrade 'setuptools>=77'
	build/lock/bin/python -m pip install $(PIP_OPTIONS) --only-binary :all: --no-build-isolation --editable '.[demo,dev]'
	{ echo '# Written by `make lock` from pyproject.toml: everything for running, the demo and the tests, pinned.'; \
	  build/lock/bin/python -m pip freeze --all --exclude pip --exclude-editable; } > requirements.txt
	rm -rf build/lock

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
