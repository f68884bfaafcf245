# `make help` lists what there is. Everything runs in .venv, which makes itself: uv, installed by pip, installs the groups of
# pyproject.toml from their locked requirements, each when it is first asked for. checkov alone has an environment of its own.
# Written for GNU make 3.81 and BSD tools too, as macOS has them.
# The Python that the template deploys for, where it is there.
PYTHON ?= $(shell python3.13 -c pass 2>/dev/null && echo python3.13 || echo python3)
VENV := .venv
CHECKOV := .venv-checkov
RUN := $(VENV)/bin/python
UV := $(VENV)/bin/uv
NPM ?= npm
PORT ?= 8080
EMULATOR_PORT ?= 4566
TEMPLATE := template.yaml
# uv does not read pip's settings: an index that pip is told of by the environment is passed on.
ifdef PIP_INDEX_URL
UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
export UV_DEFAULT_INDEX
endif
# Which stack the operator's commands are about.
WHERE = $(if $(STATE_FILE),--state-file $(STATE_FILE),--stack-name $(or $(STACK),likeness))
TIERS := tests/unit tests/simulator tests/client tests/workflow tests/template
ALONE := tests/integration/test_flood.py tests/integration/test_load.py
SOURCES := layers functions local ops bench clients tests

# A target that needs a group of pyproject.toml depends on its file here.
GROUPS := deploy release local test bench check
DEPLOY := $(VENV)/groups/deploy
RELEASE := $(VENV)/groups/release
LOCAL := $(VENV)/groups/local
TEST := $(VENV)/groups/test
BENCH := $(VENV)/groups/bench
CHECK := $(VENV)/groups/check
PAGES := $(VENV)/groups/pages

.PHONY: help setup $(GROUPS:%=setup-%) setup-browser demo up down test test-fast test-nightly test-here test-unit test-workflow test-template test-faults test-deployed test-integration test-browser test-load screenshots black-box faults redrive inventory bench bench-check check check-models resolve resolve-all build build-gradual release lock clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-18s %s\n", $$1, $$2 }'

setup: $(LOCAL) ## what `make demo` and `make up` need; each other target installs its own group

setup-deploy: $(DEPLOY) ## what building, deploying and operating a stack on AWS needs
setup-local: $(LOCAL)
setup-test: $(TEST)
setup-bench: $(BENCH)
setup-check: $(CHECK) $(CHECKOV)/.ready ## what `make check` needs

$(GROUPS:%=$(VENV)/groups/%): $(VENV)/groups/%: requirements/%.txt $(VENV)/.ready
	@echo "likeness: installing the packages of requirements/$*.txt"
	@$(UV) pip install --python $(RUN) $(LOCKED) --requirement $<
	@mkdir -p $(@D) && touch $@
LOCKED := --require-hashes --only-binary :all:

# What checks the pages' JavaScript and the state machine: Node.js is for these two gates and nothing else.
$(PAGES): requirements/package-lock.json
	@command -v $(NPM) >/dev/null || { echo "likeness: checking the pages and the state machine needs Node.js 20 or newer, with npm" >&2; exit 1; }
	@echo "likeness: installing the packages of $<"
	@mkdir -p $(VENV)/node $(@D) && cp requirements/package.json $< $(VENV)/node
	@$(NPM) ci --prefix $(VENV)/node --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(CHECKOV)/.ready: requirements/checkov.txt $(VENV)/.ready
	@echo "likeness: installing the packages of $<"
	@$(UV) venv --quiet --clear --python $(RUN) $(CHECKOV)
	@$(UV) pip install --python $(CHECKOV)/bin/python $(LOCKED) --requirement $<
	@touch $@

$(VENV)/.ready: requirements/installer.txt
	@command -v $(PYTHON) >/dev/null && $(PYTHON) -c '$(FITS)' \
		|| { echo "likeness: Python 3.11 to 3.14 is needed, on macOS 3.11 to 3.13 (make PYTHON=python3.13)" >&2; exit 1; }
	@echo "likeness: making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check $(LOCKED) --requirement $<
	@touch $@
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13 if sys.platform == "darwin" else 14))

setup-browser: ## Chromium for the browser tests, by Debian's packages where that is possible
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& export DEBIAN_FRONTEND=noninteractive && apt-get update -qq && apt-get install -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null; } \
		|| { echo "likeness: chromium is missing (apt-get install chromium, or CHROMIUM=/path/to/a/browser)" >&2; exit 1; }

demo: $(LOCAL) ## one person through the whole flow, with real files
	@$(RUN) -m local demo

up: $(LOCAL) ## the same stack, staying, with pages to click (PORT, EMULATOR_PORT; STATE_FILE: one for each of several)
	@$(RUN) -m local up --port $(PORT) --emulator-port $(EMULATOR_PORT) --state-file $(or $(STATE_FILE),.local/stack.json)

down: $(LOCAL) ## ends what `make up` started
	@$(RUN) -m local down --state-file $(or $(STATE_FILE),.local/stack.json)

redrive: $(DEPLOY) ## dead letters go back to their readers (STACK=..., or STATE_FILE=... for a local stack)
	@$(RUN) -m ops redrive $(WHERE)

inventory: $(DEPLOY) ## the inventory is written out at once (TO=folder: onto this machine; STACK or STATE_FILE as above)
	@$(RUN) -m ops inventory export $(if $(TO),--to $(TO)) $(WHERE)

# The deployed stacks mostly wait, everything else mostly calculates: the two go side by side, and what calculates, whose
# clock is not the machine's, takes what the stacks leave.
test: $(TEST) setup-browser ## what every change has to pass, with coverage: 12 minutes on two idle cores
	@$(MAKE) --no-print-directory --jobs=2 whole-test-here whole-test-deployed

test-fast: $(TEST) ## what needs no deployed stack, without the long tail: 90 seconds
	$(PYTEST) $(TIERS) -m "not slow and not nightly" --numprocesses=2
	$(PYTEST) $(FAULTS) -m "not slow and not nightly" --numprocesses=2

test-nightly: $(TEST) setup-browser ## what takes long by nature: three hundred persons, floods, pairs of faults, more examples
	@$(MAKE) --no-print-directory faults ARGS="--pairs 240"
	$(PYTEST) $(TIERS) -m nightly --numprocesses=2
	$(PYTEST) $(FAULTS) -m nightly --numprocesses=2
	$(PYTEST) tests/integration tests/browser -m nightly
	@$(MAKE) --no-print-directory screenshots resolve-all

PYTEST := $(RUN) -m pytest --durations=10
# Without pytest's own logging: one test plays thousands of runs, and it would keep each record, gigabytes, until the end.
FAULTS := tests/faults --timeout=900 -p no:logging
DAILY := -m "not nightly"
# Each worker has a stack of its own, and takes tests from the others when it has none left.
DEPLOYED := $(DAILY) --numprocesses=4 --dist=worksteal

test-here: $(TEST)
	nice -n 5 $(PYTEST) $(TIERS) $(DAILY) --numprocesses=2 --cov --cov-report=term:skip-covered
	@nice -n 5 $(MAKE) --no-print-directory test-faults

test-unit: $(TEST) ## pure logic and moto
	$(RUN) -m pytest tests/unit tests/simulator tests/client

test-workflow: $(TEST) ## the real state machine with the real handlers in moto
	$(RUN) -m pytest tests/workflow

test-template: $(TEST) ## what the template promises
	$(RUN) -m pytest tests/template

test-faults: $(TEST) ## whatever dies in between: crash points, interleavings, outages, limits
	$(PYTEST) $(FAULTS) $(DAILY) --numprocesses=2

faults: $(TEST) ## every call of an onboarding broken in every way, and pairs of faults; prints a table (ARGS=--help)
	@PYTHONPATH=layers/likeness $(RUN) -m tests.faults $(ARGS)

test-deployed: $(TEST) setup-browser ## the deployed stack on the emulator, by HTTP and in a real browser
	$(PYTEST) tests/integration tests/browser $(DEPLOYED)

test-integration: $(TEST) ## of these, what goes by HTTP
	$(PYTEST) tests/integration $(DEPLOYED)

test-browser: $(TEST) setup-browser ## of these, the pages in a real browser
	$(PYTEST) tests/browser $(DEPLOYED)

screenshots: $(TEST) setup-browser ## pictures of every step into build/screenshots
	SCREENSHOTS=build/screenshots $(RUN) -m pytest tests/browser/test_screens.py --timeout=300 -q

# What runs side by side is printed as a whole when it has ended; meanwhile it is in build/.
whole-%:
	@mkdir -p build; echo "likeness: make $* is running, its output goes to build/$*.log"; \
	$(MAKE) --no-print-directory $* > build/$*.log 2>&1; code=$$?; cat build/$*.log; exit $$code


black-box: $(TEST) ## a deployed stage from outside (STACK=..., or STATE_FILE=... of a local stack); erases what it makes
	@$(RUN) -m ops.black_box $(WHERE)

test-load: $(TEST) ## a flood, and three hundred persons at once
	$(PYTEST) $(ALONE) -m nightly

bench: $(BENCH) ## what a user pays in waiting and dollars, into docs/performance.md (ONLY="part part": some of it); on Linux
	@test "$$(uname)" = Linux || { echo "likeness: make bench needs Linux: /proc, and Lambda's runtime client" >&2; exit 1; }
	@PYTHONPATH=layers/likeness $(RUN) -m bench run --write $(ONLY:%=--only %)

bench-check: $(BENCH) ## the figures that are the same on every machine, against their baseline
	@PYTHONPATH=layers/likeness $(RUN) -m bench check

# Each check is a command that fails when it finds something. They run side by side, the slowest first. mypy, tsc
# and lint-imports are tried on mistakes, too.
CHECKS := mypy checkov sam policies cfn-lint resolve models pages asl ruff format imports statelint zizmor
mypy := $(RUN) -m mypy $(SOURCES) && $(RUN) -m pytest tests/checks/test_types.py --quiet
pages = $(NODE_TOOLS) && $(TSC) --project layers/likeness && TSC=$(TSC) $(RUN) -m pytest tests/checks/test_pages.py --quiet
asl = $(NODE_TOOLS) && ASL_VALIDATOR=$(VENV)/node/node_modules/.bin/asl-validator $(RUN) -m pytest tests/checks/test_asl.py --quiet
policies := PARLIAMENT=$(CHECKOV)/bin/parliament $(RUN) -m pytest tests/checks/test_policies.py --quiet
NODE_TOOLS = $(MAKE) --no-print-directory $(PAGES)
TSC = $(VENV)/node/node_modules/.bin/tsc
checkov := $(CHECKOV)/bin/checkov
sam := SAM_CLI_TELEMETRY=0 $(VENV)/bin/sam validate
cfn-lint := $(VENV)/bin/cfn-lint
ruff := $(RUN) -m ruff check .
format := $(RUN) -m ruff format --check .
imports := PYTHONPATH=layers/likeness $(VENV)/bin/lint-imports && $(RUN) -m pytest tests/checks/test_imports.py --quiet
statelint := $(VENV)/bin/statelint statemachine/onboard_person.asl.json
resolve := $(MAKE) --no-print-directory resolve
models := $(MAKE) --no-print-directory check-models
zizmor := $(VENV)/bin/zizmor --offline --quiet --min-severity medium .github/workflows

check: setup-check ## lint, types, import directions, template, state machine, security
	@$(MAKE) --no-print-directory --keep-going --jobs=2 $(CHECKS:%=check-%)

gate-asl: | check-pages  # both would install the same packages at once

.PHONY: $(CHECKS:%=check-%)
$(CHECKS:%=check-%): check-%:
	@began=$$(date +%s); said=$$(exec 2>&1; export AWS_DEFAULT_REGION=us-east-1; $($*)) && word=ok || word=FAILED; \
	printf '%-10s %-6s %3d s\n' $* $$word $$(($$(date +%s) - began)); \
	test $$word = ok || { printf '%s\n' "$$said"; exit 1; }

# Every package has a wheel for each platform: platform/Python pairs, as uv names them. PyAV's wheels want macOS 14, and
# aws-sam-cli's watchdog has none for Python 3.14 on macOS.
LINUX := x86_64-manylinux_2_28 aarch64-manylinux_2_28
MACOS := aarch64-apple-darwin
resolve: PAIRS := $(LINUX:%=%/3.14) $(MACOS:%=%/3.13)
resolve: FUNCTIONS := aarch64-manylinux2014/3.13
resolve: $(VENV)/.ready ## whether the lock files can be installed on the newest Python of each platform
resolve-all: PAIRS := $(foreach python,3.11 3.12 3.13 3.14,$(LINUX:%=%/$(python))) $(foreach python,3.11 3.12 3.13,$(MACOS:%=%/$(python)))
resolve-all: FUNCTIONS := $(foreach python,3.11 3.12 3.13 3.14,aarch64-manylinux2014/$(python) x86_64-manylinux2014/$(python))
resolve-all: $(VENV)/.ready ## the same for every Python of each platform
resolve resolve-all:
	@for pair in $(PAIRS); do \
		for file in installer check checkov; do \
			MACOSX_DEPLOYMENT_TARGET=14.0 $(UV) pip install --quiet --dry-run --target build/nothing --python $(RUN) $(LOCKED) \
				--python-platform $${pair%/*} --python-version $${pair#*/} --requirement requirements/$$file.txt \
				|| { echo "likeness: requirements/$$file.txt cannot be installed on $$pair" >&2; exit 1; }; \
		done; \
		echo "$$pair: every package has a wheel"; \
	done
	@for pair in $(FUNCTIONS); do \
		$(UV) pip install --quiet --no-deps --dry-run --target build/nothing --python $(RUN) $(LOCKED) \
			--python-platform $${pair%/*} --python-version $${pair#*/} --requirement layers/dependencies/requirements.txt \
			|| { echo "likeness: the layer cannot be built for $$pair" >&2; exit 1; }; \
		echo "$$pair: the layer can be built"; \
	done

# botocore is the one that Lambda's runtime has: the cut descriptions of AWS are tried with the oldest that reads them
# (likeness/adapters/aws.py), and with the locked one, of which they are cut.
check-models: $(TEST) ## whether the oldest and the newest botocore make the same requests by the cut descriptions of AWS
	@rm -rf build/models build/botocore && mkdir -p build
	@$(UV) pip install --quiet --no-deps $(LOCKED) --python $(RUN) --requirement requirements/oldest_botocore.txt --target build/botocore
	@$(RUN) layers/likeness/cut_models.py "$$($(RUN) -c 'import botocore; print(botocore.__path__[0])')/data" build/models
	@PYTHONPATH=build/botocore:layers/likeness $(RUN) -m tests.checks.model_requests build/models
	@PYTHONPATH=layers/likeness $(RUN) -m tests.checks.model_requests build/models

build: $(DEPLOY) ## what `sam deploy` sends to AWS (PYTHON_RUNTIME=python3.12, ARCHITECTURE=x86_64: the layers for these)
	@find functions -name __pycache__ -prune -exec rm -rf {} + # a function is its app.py and nothing else
	$(LAYERS) PATH="$(abspath $(VENV))/bin:$$PATH" SAM_CLI_TELEMETRY=0 sam build --template-file $(TEMPLATE)
	@$(if $(strip $(LAYERS)),$(RUN) -m ops.layers .aws-sam/build/template.yaml $(PYTHON_RUNTIME:%=--python-runtime %) \
		$(ARCHITECTURE:%=--architecture %) || { rm -rf .aws-sam/build; exit 1; })
LAYERS = $(if $(PYTHON_RUNTIME),LAYER_PYTHON_VERSION=$(PYTHON_RUNTIME:python%=%)) \
	$(if $(ARCHITECTURE),LAYER_PLATFORM=$(ARCHITECTURE:arm64=aarch64)-manylinux2014)

build-gradual: $(DEPLOY) ## the same for a gradual rollout: aliases and alarms (REVISION=: another one each time, docs/deploying.md)
	$(RUN) -m ops.gradual $(REVISION) > template-gradual.yaml
	@$(MAKE) --no-print-directory build TEMPLATE=template-gradual.yaml

release: $(RELEASE) build ## dist/likeness-<version>: what deploys without SAM or Python (docs/deploying.md)
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null)} $(RUN) -m ops.release

# One solution for all groups first, so that each group's file has the same versions. UPGRADE= changes only what has to
# change: uv keeps the versions that it finds where it writes.
lock: $(VENV)/.ready ## new lock files, with hashes for every platform, from pyproject.toml
	@mkdir -p build && cat requirements/installer.txt requirements/check.txt > build/lock.txt
	$(COMPILE) $(UPGRADE) --group check --group installer --output-file build/lock.txt
	for group in installer $(GROUPS); do \
		$(COMPILE) --constraint build/lock.txt --group $$group --output-file requirements/$$group.txt || exit; done
	$(COMPILE) --constraint build/lock.txt --group layer --output-file layers/dependencies/requirements.txt
	echo botocore | $(COMPILE) --no-deps --constraint build/lock.txt --output-file layers/likeness/models.txt -
	echo botocore | $(COMPILE) --no-deps --output-file requirements/oldest_botocore.txt -
	$(COMPILE) $(UPGRADE) --group checkov --output-file requirements/checkov.txt
	$(NPM) install --prefix requirements --package-lock-only --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --only-binary :all: --generate-hashes --no-annotate \
	--custom-compile-command "make lock"
UPGRADE ?= --upgrade

clean: ## everything that was made, but not the virtual environment
	rm -rf .aws-sam .local build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis htmlcov .coverage
