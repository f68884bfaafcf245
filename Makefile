# `make help` lists what there is. Everything runs in .venv, which `make setup` makes from the locked requirements.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PORT ?= 8080
TIERS := tests/unit tests/simulator tests/workflow tests/template
SOURCES := layers/likeness/likeness functions local ops tests

.PHONY: help setup demo up down redrive test test-unit test-workflow test-template test-integration check build lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

setup: $(VENV)/.ready ## the virtual environment

$(VENV)/.ready: requirements-dev.txt
	@command -v $(PYTHON) >/dev/null || { echo "likeness: $(PYTHON) is not here; Python 3.11 or newer is needed (make PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "likeness: Python 3.11 or newer is needed (make PYTHON=...)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --only-binary=:all: --requirement requirements-dev.txt
	@touch $@

demo: setup ## one person through the whole flow, with real files
	@$(RUN) -m local demo

up: setup ## the same stack, staying, with pages to click
	@$(RUN) -m local up --port $(PORT)

down: setup ## ends what `make up` started
	@$(RUN) -m local down

redrive: setup ## dead letters go back to their readers (STACK=..., or STATE_FILE=... for a local stack)
	@$(RUN) -m ops redrive $(if $(STATE_FILE),--state-file $(STATE_FILE),--stack-name $(or $(STACK),likeness))

test: setup ## every tier, with coverage
	$(RUN) -m pytest $(TIERS) --cov --cov-report=term:skip-covered --durations=10
	$(RUN) -m pytest tests/integration --durations=10

test-unit: setup ## pure logic and moto
	$(RUN) -m pytest tests/unit tests/simulator

test-workflow: setup ## the real state machine with the real handlers in moto
	$(RUN) -m pytest tests/workflow

test-template: setup ## what the template promises
	$(RUN) -m pytest tests/template

test-integration: setup ## the deployed stack on the emulator
	$(RUN) -m pytest tests/integration

check: setup ## lint, types, import directions, template
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy $(SOURCES)
	PYTHONPATH=layers/likeness $(VENV)/bin/lint-imports
	AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(VENV)/bin/sam validate --lint

build: setup ## what `sam deploy` sends to AWS
	@find functions -name __pycache__ -prune -exec rm -rf {} + # a function is its app.py and nothing else
	PATH="$(abspath $(VENV))/bin:$$PATH" SAM_CLI_TELEMETRY=0 sam build

lock: setup ## new lock files from the .in files
	$(VENV)/bin/pip-compile $(LOCK) --output-file requirements-dev.txt requirements-dev.in
	$(VENV)/bin/pip-compile $(LOCK) --output-file layers/dependencies/requirements.txt layers/dependencies/requirements.in
LOCK := --quiet --upgrade --strip-extras --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	--no-emit-options --pip-args=--only-binary=:all:

clean: ## everything that was made, but not the virtual environment
	rm -rf .aws-sam .local build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis htmlcov .coverage
