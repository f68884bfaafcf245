# `make help` lists the targets. Everything runs in .venv, which is created when it is needed: pip installs uv, and uv
# installs each group of pyproject.toml from its lock file when a target first needs it. Only checkov has its own environment.
# Also works with macOS' GNU make 3.81 and BSD tools.
# The Python version of the template, if it is installed.
PYTHON ?= $(shell python3.13 -c pass 2>/dev/null && echo python3.13 || echo python3)
VENV := .venv
CHECKOV := .venv-checkov
RUN := $(VENV)/bin/python
UV := $(VENV)/bin/uv
NPM ?= npm
NODE ?= node
PORT ?= 8080
EMULATOR_PORT ?= 4566
TEMPLATE := template.yaml
# uv does not read pip's settings, so an index in pip's environment variable is passed on.
ifdef PIP_INDEX_URL
UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
export UV_DEFAULT_INDEX
endif
# The stack of the operator's commands.
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

.PHONY: help setup $(GROUPS:%=setup-%) setup-browser demo up down test test-fast test-nightly test-here test-unit test-workflow test-template test-faults test-deployed test-integration test-browser test-load screenshots black-box faults redrive inventory bench bench-check check compare-models resolve resolve-all build build-gradual release lock pages clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "%-18s %s\n", $$1, $$2 }'

setup: $(LOCAL) ## install what `make demo` and `make up` need; other targets install their own group

setup-deploy: $(DEPLOY) ## install what building, deploying and operating a stack on AWS needs
setup-local: $(LOCAL)
setup-test: $(TEST)
setup-bench: $(BENCH)
setup-check: $(CHECK) $(CHECKOV)/.ready ## install what `make check` needs

$(GROUPS:%=$(VENV)/groups/%): $(VENV)/groups/%: requirements/%.txt $(VENV)/.ready
	@echo "likeness: installing the packages of requirements/$*.txt"
	@$(UV) pip install --python $(RUN) $(LOCKED) --requirement $<
	@mkdir -p $(@D) && touch $@
LOCKED := --require-hashes --only-binary :all:

# Bundles and checks the pages' JavaScript, and checks the state machine. Only these need Node.js.
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
	@echo "likeness: creating $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check $(LOCKED) --requirement $<
	@touch $@
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13 if sys.platform == "darwin" else 14))

setup-browser: ## install Chromium for the browser tests from Debian's packages, if possible
	@command -v "$${CHROMIUM:-chromium}" >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& export DEBIAN_FRONTEND=noninteractive && apt-get update -qq && apt-get install -qq --no-install-recommends chromium fonts-noto-cjk >/dev/null; } \
		|| { echo "likeness: chromium is missing (apt-get install chromium, or CHROMIUM=/path/to/a/browser)" >&2; exit 1; }

demo: $(LOCAL) ## run one onboarding from start to end, with real files
	@$(RUN) -m local demo

up: $(LOCAL) ## start a local stack with its pages (PORT, EMULATOR_PORT; for several stacks a STATE_FILE each)
	@$(RUN) -m local up --port $(PORT) --emulator-port $(EMULATOR_PORT) --state-file $(or $(STATE_FILE),.local/stack.json)

down: $(LOCAL) ## stop the local stack
	@$(RUN) -m local down --state-file $(or $(STATE_FILE),.local/stack.json)

redrive: $(DEPLOY) ## send dead letters back to their queues (STACK=..., or STATE_FILE=... for a local stack)
	@$(RUN) -m ops redrive $(WHERE)

inventory: $(DEPLOY) ## export the inventory now (TO=folder: download it; STACK or STATE_FILE as above)
	@$(RUN) -m ops inventory export $(if $(TO),--to $(TO)) $(WHERE)

# The tests with deployed stacks mostly wait, and the others mostly compute. Both run in parallel. The others do not depend
# on the machine's clock, so they get a lower priority.
test: $(TEST) setup-browser ## all tests that a change must pass: 12 minutes on two idle cores
	@rm -f build/test-*.log
	@$(MAKE) --no-print-directory --jobs=2 --keep-going whole-test-here whole-test-deployed \
		|| { echo "likeness: what failed:"; sed -n -E '/^=+ (FAILURES|ERRORS) =+$$/,$$p' build/test-*.log; exit 1; }

test-fast: $(TEST) ## tests without a deployed stack and without slow tests: 90 seconds
	$(PYTEST) $(TIERS) -m "not slow and not nightly" --numprocesses=2
	$(PYTEST) $(FAULTS) -m "not slow and not nightly" --numprocesses=2

test-nightly: $(TEST) setup-browser ## long tests: 300 people, floods, pairs of faults, more examples; with coverage
	@$(MAKE) --no-print-directory faults ARGS="--pairs 240"
	$(PYTEST) $(TIERS) --numprocesses=2 --cov --cov-report=term:skip-covered
	$(PYTEST) $(FAULTS) -m nightly --numprocesses=2
	$(PYTEST) tests/integration tests/browser -m nightly
	@$(MAKE) --no-print-directory screenshots resolve-all

PYTEST := $(RUN) -m pytest --durations=10
# Without pytest's logging plugin, which would keep gigabytes of records: one test simulates thousands of runs.
FAULTS := tests/faults --timeout=900 -p no:logging
DAILY := -m "not nightly"
# Each worker has its own stack, and takes tests from other workers when it has none left.
DEPLOYED := $(DAILY) --numprocesses=4 --dist=worksteal

test-here: $(TEST)
	nice -n 5 $(PYTEST) $(TIERS) $(DAILY) --numprocesses=2
	@nice -n 5 $(MAKE) --no-print-directory test-faults

test-unit: $(TEST) ## unit, simulator and client tests, with moto
	$(RUN) -m pytest tests/unit tests/simulator tests/client

test-workflow: $(TEST) ## the state machine with the real handlers in moto
	$(RUN) -m pytest tests/workflow

test-template: $(TEST) ## tests of the template
	$(RUN) -m pytest tests/template

test-faults: $(TEST) ## fault injection: crash points, interleavings, outages, limits
	$(PYTEST) $(FAULTS) $(DAILY) --numprocesses=2

faults: $(TEST) ## inject every fault into every call of an onboarding, and pairs of faults; print a table (ARGS=--help)
	@PYTHONPATH=layers/likeness $(RUN) -m tests.faults $(ARGS)

test-deployed: $(TEST) setup-browser ## tests of a stack deployed to the emulator, over HTTP and in a browser
	$(PYTEST) tests/integration tests/browser $(DEPLOYED)

test-integration: $(TEST) ## only those over HTTP
	$(PYTEST) tests/integration $(DEPLOYED)

test-browser: $(TEST) setup-browser ## only those in a browser
	$(PYTEST) tests/browser $(DEPLOYED)

screenshots: $(TEST) setup-browser ## save screenshots of every step in build/screenshots
	SCREENSHOTS=build/screenshots $(RUN) -m pytest tests/browser/test_screens.py --timeout=300 -q

# Output of parallel targets goes to build/ and is printed when the target has ended.
whole-%:
	@mkdir -p build; echo "likeness: make $* is running, its output goes to build/$*.log"; \
	$(MAKE) --no-print-directory $* > build/$*.log 2>&1; code=$$?; cat build/$*.log; exit $$code


black-box: $(TEST) ## black-box tests of a deployed stack (STACK=..., or STATE_FILE=... for a local stack); erase their data
	@$(RUN) -m ops.black_box $(WHERE)

test-load: $(TEST) ## load tests: a flood, and 300 people concurrently
	$(PYTEST) $(ALONE) -m nightly

bench: $(BENCH) ## measure latency and cost, and update docs/performance.md (ONLY="part part": some parts); Linux only
	@test "$$(uname)" = Linux || { echo "likeness: make bench needs Linux: /proc, and Lambda's runtime client" >&2; exit 1; }
	@PYTHONPATH=layers/likeness $(RUN) -m bench run --write $(ONLY:%=--only %)

bench-check: $(BENCH) ## compare the figures that do not depend on the machine with their baseline
	@PYTHONPATH=layers/likeness $(RUN) -m bench check

# Each check is a command that fails when it finds a problem. They run in parallel, the slowest first. mypy, tsc and
# lint-imports are also run on code with known mistakes.
CHECKS := mypy checkov sam policies cfn-lint resolve models pages asl words ruff format imports statelint zizmor
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
statelint := $(VENV)/bin/statelint statemachine/onboard_person.asl.json statemachine/make_generation.asl.json
resolve := $(MAKE) --no-print-directory resolve
words := $(RUN) -m tests.checks.words && $(RUN) -m pytest tests/checks/test_words.py --quiet
models := $(MAKE) --no-print-directory compare-models
zizmor := $(VENV)/bin/zizmor --offline --quiet --min-severity medium .github/workflows

pages: ## bundle the pages' scripts, styles and texts again, after a change of their sources (Node.js)
	@$(NODE_TOOLS)
	@$(NODE) layers/likeness/build_pages.mjs $(VENV)/node layers/likeness/pages/built

check: setup-check ## lint, types, import contracts, template, state machine, security
	@$(MAKE) --no-print-directory --keep-going --jobs=2 $(CHECKS:%=check-%)

check-asl: | check-pages  # both would install the same packages concurrently

.PHONY: $(CHECKS:%=check-%)
$(CHECKS:%=check-%): check-%:
	@began=$$(date +%s); output=$$(exec 2>&1; export AWS_DEFAULT_REGION=us-east-1; $($*)) && result=ok || result=FAILED; \
	printf '%-10s %-6s %3d s\n' $* $$result $$(($$(date +%s) - began)); \
	test $$result = ok || { printf '%s\n' "$$output"; exit 1; }

# Every package has a wheel for each platform. These are platform/Python pairs in uv's notation. PyAV's wheels need
# macOS 14, and watchdog, which aws-sam-cli needs, has none for Python 3.14 on macOS.
LINUX := x86_64-manylinux_2_28 aarch64-manylinux_2_28
MACOS := aarch64-apple-darwin
resolve: PAIRS := $(LINUX:%=%/3.14) $(MACOS:%=%/3.13)
resolve: FUNCTIONS := aarch64-manylinux2014/3.13
resolve: $(VENV)/.ready ## check that the lock files can be installed on the newest Python of each platform
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

# The functions use the botocore of Lambda's runtime. The reduced service models are tested with the oldest botocore that
# loads them (likeness/adapters/aws.py), and with the locked one, from which they are made.
compare-models: $(TEST) ## check that the oldest and the newest botocore make the same requests with the reduced models
	@rm -rf build/models build/botocore && mkdir -p build
	@$(UV) pip install --quiet --no-deps $(LOCKED) --python $(RUN) --requirement requirements/oldest_botocore.txt --target build/botocore
	@$(RUN) layers/likeness/cut_models.py "$$($(RUN) -c 'import botocore; print(botocore.__path__[0])')/data" build/models
	@PYTHONPATH=build/botocore:layers/likeness $(RUN) -m tests.checks.model_requests build/models
	@PYTHONPATH=layers/likeness $(RUN) -m tests.checks.model_requests build/models

build: $(DEPLOY) ## build what `sam deploy` deploys (PYTHON_RUNTIME=python3.12, ARCHITECTURE=x86_64: layers for these; OPERATOR=folder)
	@find functions -name __pycache__ -prune -exec rm -rf {} + # a function's package has only its app.py
	$(LAYERS) $(if $(OPERATOR),OPERATOR="$(abspath $(OPERATOR))") PATH="$(abspath $(VENV))/bin:$$PATH" SAM_CLI_TELEMETRY=0 sam build --template-file $(TEMPLATE)
	@$(if $(strip $(LAYERS)),$(RUN) -m ops.layers .aws-sam/build/template.yaml $(PYTHON_RUNTIME:%=--python-runtime %) \
		$(ARCHITECTURE:%=--architecture %) || { rm -rf .aws-sam/build; exit 1; })
LAYERS = $(if $(PYTHON_RUNTIME),LAYER_PYTHON_VERSION=$(PYTHON_RUNTIME:python%=%)) \
	$(if $(ARCHITECTURE),LAYER_PLATFORM=$(ARCHITECTURE:arm64=aarch64)-manylinux2014)

build-gradual: $(DEPLOY) ## the same for a gradual rollout, with aliases and alarms (REVISION=: a new value each time, docs/deploying.md)
	$(RUN) -m ops.gradual $(REVISION) > template-gradual.yaml
	@$(MAKE) --no-print-directory build TEMPLATE=template-gradual.yaml

release: $(RELEASE) build ## build dist/likeness-<version>, which deploys without SAM or Python (docs/deploying.md)
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null)} $(RUN) -m ops.release

# All groups are resolved together first, so that their files have the same versions. UPGRADE= changes only what must
# change: uv keeps the versions in the existing file.
lock: $(VENV)/.ready ## update the lock files from pyproject.toml, with hashes for every platform
	@mkdir -p build && cat requirements/installer.txt requirements/check.txt > build/lock.txt
	$(COMPILE) $(UPGRADE) --group check --group installer --output-file build/lock.txt
	for group in installer $(GROUPS); do \
		$(COMPILE) --constraint build/lock.txt --group $$group --output-file requirements/$$group.txt || exit; done
	$(COMPILE) --constraint build/lock.txt --group layer --output-file layers/dependencies/requirements.txt
	echo botocore | $(COMPILE) --no-deps --constraint build/lock.txt --output-file layers/likeness/models.txt -
	echo botocore | $(COMPILE) --no-deps --output-file requirements/oldest_botocore.txt -
	echo drf-spectacular-sidecar | $(COMPILE) $(UPGRADE) --no-deps --output-file layers/likeness/swagger_ui.txt -
	$(COMPILE) $(UPGRADE) --group checkov --output-file requirements/checkov.txt
	$(NPM) install --prefix requirements --package-lock-only --ignore-scripts --no-audit --no-fund --omit-lockfile-registry-resolved
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --only-binary :all: --generate-hashes --no-annotate \
	--custom-compile-command "make lock"
UPGRADE ?= --upgrade

clean: ## delete all generated files except the virtual environments
	rm -rf .aws-sam .local build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis htmlcov .coverage
