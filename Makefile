# `make help` lists what there is. Everything runs in .venv, which `make setup` makes from the locked requirements;
# checkov alone has an environment of its own.
PYTHON ?= python3
VENV := .venv
CHECKOV := .venv-checkov
RUN := $(VENV)/bin/python
PORT ?= 8080
TEMPLATE := template.yaml
# Which stack the operator's commands are about.
WHERE = $(if $(STATE_FILE),--state-file $(STATE_FILE),--stack-name $(or $(STACK),likeness))
TIERS := tests/unit tests/simulator tests/client tests/workflow tests/template
ALONE := tests/integration/test_flood.py tests/integration/test_load.py
SOURCES := layers/likeness/likeness functions local ops bench clients tests

.PHONY: help setup setup-check setup-browser demo up down test test-unit test-workflow test-template test-integration test-browser screenshots test-faults test-deployed test-load black-box faults redrive inventory bench bench-check check build build-gradual lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20

setup: $(VENV)/.ready ## the virtual environment

setup-check: setup $(CHECKOV)/.ready ## what `make check` needs besides

$(VENV)/.ready: requirements-dev.txt
$(CHECKOV)/.ready: requirements-checkov.txt
$(VENV)/.ready $(CHECKOV)/.ready: %/.ready:
	@command -v $(PYTHON) >/dev/null || { echo "likeness: $(PYTHON) is not here; Python 3.11 or newer is needed (make PYTHON=...)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "likeness: Python 3.11 or newer is needed (make PYTHON=...)" >&2; exit 1; }
	$(PYTHON) -m venv $*
	$*/bin/python -m pip install -qq --disable-pip-version-check --only-binary=:all: --requirement $<
	@touch $@

setup-browser: ## Chromium for the browser tests, by Debian's packages where that is possible
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& export DEBIAN_FRONTEND=noninteractive && apt-get update -qq && apt-get install -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null; } \
		|| { echo "likeness: chromium is missing (apt-get install chromium, or CHROMIUM=/path/to/a/browser)" >&2; exit 1; }

demo: setup ## one person through the whole flow, with real files
	@$(RUN) -m local demo

up: setup ## the same stack, staying, with pages to click
	@$(RUN) -m local up --port $(PORT)

down: setup ## ends what `make up` started
	@$(RUN) -m local down

redrive: setup ## dead letters go back to their readers (STACK=..., or STATE_FILE=... for a local stack)
	@$(RUN) -m ops redrive $(WHERE)

inventory: setup ## the inventory is written out at once (TO=folder: onto this machine; STACK or STATE_FILE as above)
	@$(RUN) -m ops inventory export $(if $(TO),--to $(TO)) $(WHERE)

# The deployed stack mostly waits, the faults mostly calculate: the two go side by side, and the faults, whose clock is not the
# machine's, take what the stack leaves. The load wants a calm machine.
test: setup ## every tier, with coverage
	$(RUN) -m pytest $(TIERS) --numprocesses=2 --cov --cov-report=term:skip-covered --durations=10
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-faults test-deployed
	@$(MAKE) --no-print-directory test-load

test-unit: setup ## pure logic and moto
	$(RUN) -m pytest tests/unit tests/simulator tests/client

test-workflow: setup ## the real state machine with the real handlers in moto
	$(RUN) -m pytest tests/workflow

test-template: setup ## what the template promises
	$(RUN) -m pytest tests/template

# Without pytest's own logging: one test plays thousands of runs, and it would keep each record, gigabytes, until the end.
test-faults: setup ## whatever dies in between: crash points, interleavings, outages, limits
	nice -n 10 $(RUN) -m pytest tests/faults --timeout=900 --numprocesses=2 --durations=10 -p no:logging

faults: setup ## every call of an onboarding broken in every way, and pairs of faults; prints a table (ARGS=--help)
	@PYTHONPATH=layers/likeness $(RUN) -m tests.faults $(ARGS)

test-integration: setup ## the deployed stack on the emulator
	$(RUN) -m pytest tests/integration $(ALONE:%=--ignore=%) --durations=10

test-browser: setup setup-browser ## the pages in a real browser, on the deployed stack
	$(RUN) -m pytest tests/browser --numprocesses=2 --dist=loadfile --durations=10

screenshots: setup setup-browser ## pictures of every step into build/screenshots
	SCREENSHOTS=build/screenshots $(RUN) -m pytest tests/browser/test_screens.py --timeout=300 -q

# One after the other: each has a stack of its own.
test-deployed:
	@$(MAKE) --no-print-directory test-integration
	@$(MAKE) --no-print-directory test-browser

black-box: setup ## a deployed stage from outside (STACK=..., or STATE_FILE=... of a local stack); erases what it makes
	@$(RUN) -m ops.black_box $(WHERE)

test-load: setup ## a flood, and three hundred persons at once
	$(RUN) -m pytest $(ALONE) --durations=3

bench: setup ## what a user pays in waiting and dollars, into docs/performance.md (ONLY="part part": some of it)
	@PYTHONPATH=layers/likeness $(RUN) -m bench run --write $(ONLY:%=--only %)

bench-check: setup ## the figures that are the same on every machine, against their baseline
	@PYTHONPATH=layers/likeness $(RUN) -m bench check

# Each gate is a command that fails when it finds something. They run side by side, the slowest first.
GATES := mypy checkov sam cfn-lint ruff format imports statelint zizmor
mypy := $(RUN) -m mypy $(SOURCES)
checkov := $(CHECKOV)/bin/checkov
sam := SAM_CLI_TELEMETRY=0 $(VENV)/bin/sam validate
cfn-lint := $(VENV)/bin/cfn-lint
ruff := $(RUN) -m ruff check .
format := $(RUN) -m ruff format --check .
imports := PYTHONPATH=layers/likeness $(VENV)/bin/lint-imports
statelint := $(VENV)/bin/statelint statemachine/onboard_person.asl.json
zizmor := $(VENV)/bin/zizmor --offline --quiet --min-severity medium .github/workflows

check: setup-check ## lint, types, import directions, template, state machine, security
	@$(MAKE) --no-print-directory --keep-going --jobs=2 $(GATES:%=gate-%)

.PHONY: $(GATES:%=gate-%)
$(GATES:%=gate-%): gate-%:
	@began=$$(date +%s); said=$$(AWS_DEFAULT_REGION=us-east-1 $($*) 2>&1) && word=ok || word=FAILED; \
	printf '%-10s %-6s %3d s\n' $* $$word $$(($$(date +%s) - began)); \
	test $$word = ok || { printf '%s\n' "$$said"; exit 1; }

build: setup ## what `sam deploy` sends to AWS
	@find functions -name __pycache__ -prune -exec rm -rf {} + # a function is its app.py and nothing else
	PATH="$(abspath $(VENV))/bin:$$PATH" SAM_CLI_TELEMETRY=0 sam build --template-file $(TEMPLATE)

build-gradual: setup ## the same for a gradual rollout: aliases and alarms (docs/deploying.md)
	$(RUN) -m ops.gradual > template-gradual.yaml
	@$(MAKE) --no-print-directory build TEMPLATE=template-gradual.yaml

lock: setup ## new lock files from the .in files
	$(VENV)/bin/pip-compile $(LOCK) --output-file requirements-dev.txt requirements-dev.in
	$(VENV)/bin/pip-compile $(LOCK) --output-file requirements-checkov.txt requirements-checkov.in
	$(VENV)/bin/pip-compile $(LOCK) --output-file layers/dependencies/requirements.txt layers/dependencies/requirements.in
LOCK := --quiet --upgrade --strip-extras --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
	--no-emit-options --pip-args=--only-binary=:all:

clean: ## everything that was made, but not the virtual environment
	rm -rf .aws-sam .local build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis htmlcov .coverage
