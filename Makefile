# `make run` and `make validate` are the two commands of the README; each sets up what it needs.
.DEFAULT_GOAL := help
.PHONY: help setup run validate validate-full test lint types contracts format bench bench-peers \
	bench-gate report-images \
	faults soak torture bench-channel bench-validation packages mutation planted metrics \
	pythons vsix vscode conformance neovim docs changelog clean distclean \
	competition fleet bench-engine calendar agents agents-runs agents-busy

WORKSPACE ?= examples/workspace
ARGS ?=
REPORTS := state/reports
# The first of these that runs and is new enough; a name may be a shim that only complains.
NAMES := python3 python3.13 python3.12 python3.11 python
ENOUGH := import sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in $(NAMES); do $$name -c '$(ENOUGH)' >/dev/null 2>&1 && echo $$name && break; done)

ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
PY := $(BIN)/python
VALIDATE := $(PY) -P -m validation . --allow-code --python $(PY) --artefacts $(REPORTS)/artefacts \
	--state state/validation --json $(REPORTS)/report.json --markdown $(REPORTS)/report.md \
	--html $(REPORTS)/report.html --junit $(REPORTS)/junit.xml --sarif $(REPORTS)/report.sarif

help: ## show the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1: \2/p' $(firstword $(MAKEFILE_LIST))

setup: .venv/dev.stamp ## make .venv with everything that development needs

.venv/pyvenv.cfg:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer was found; name one: make PYTHON=/path/to/python"; exit 1; }
	@echo "Setting up .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv >/dev/null 2>&1 || $(PYTHON) -m venv --clear --without-pip .venv

# Named, because a comma in a call would end its argument.
RUN_NEEDS := .[search,engine]

# Some systems ship Python without ensurepip; their own pip can install into another Python.
define install
	@if $(PY) -m pip --version >/dev/null 2>&1; then set -- $(PY) -m pip; else set -- $(PYTHON) -m pip --python $(PY); fi; \
		echo "Installing $(1) (a minute or two the first time)"; \
		"$$@" install --quiet --disable-pip-version-check --editable '$(1)'
	@touch $@
endef

.venv/run.stamp: pyproject.toml .venv/pyvenv.cfg
	$(call install,$(RUN_NEEDS))

.venv/dev.stamp: pyproject.toml .venv/pyvenv.cfg
	$(call install,.[dev])
	@touch .venv/run.stamp

run: .venv/run.stamp ## start the sidecar on WORKSPACE; ARGS=--once shows what it finds and ends
	@$(PY) -P -m sidecar serve --workspace "$(WORKSPACE)" $(ARGS)

validate: .venv/dev.stamp ## prove the project: lint, types, contracts, tests, coverage, suites, report
	@$(VALIDATE)

validate-full: .venv/dev.stamp ## the same with what needs Node, Chromium or an editor
	@$(VALIDATE) --full

test: .venv/dev.stamp ## run the tests; ARGS="tests/domain -k yaml" chooses
	@$(PY) -P -m pytest $(ARGS)

lint: .venv/dev.stamp ## ruff
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: .venv/dev.stamp ## let ruff correct what it can
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: .venv/dev.stamp ## mypy, strict; what channels and sidecars need also as on Windows
	@$(PY) -m mypy
	@$(PY) -m mypy --platform win32 --no-warn-unreachable --cache-dir .mypy_cache/win32 \
		sidecar/channel sidecar/host sidecar/cli

contracts: .venv/dev.stamp ## import-linter: who may import whom
	@$(BIN)/lint-imports

pythons: .venv/dev.stamp ## run the tests on each of Python 3.11, 3.12 and 3.13 that is here
	@$(PY) -m nox

bench: .venv/dev.stamp ## measure, beside peers where they are installed; nothing passes or fails
	@$(PY) -P -m validation . --allow-code --python $(PY) --category benchmark \
		--state state/validation || true
	@$(PY) -P benchmarks/figures.py

bench-gate: .venv/dev.stamp ## 20 runs without change: no alarm; 20 slowed 1.5 times: 19 found; ARGS="5 --only slowed"
	@$(PY) -P benchmarks/gate.py $(ARGS)

bench-peers: .venv/dev.stamp ## measure tool calls beside the reference filesystem server and the bare disk
	@$(PY) -P benchmarks/mcp_against_peers.py --install $(ARGS)

# More than 1,000 kills, every system call of every write refused, 11 processes x 100 updates,
# 20,000 races of folders and links, 12,000 mutated messages, 6,000 calls with hostile arguments.
THOROUGH := SIDECAR_TRIALS=80 SIDECAR_LANES=2 SIDECAR_SERVER_TRIALS=20 SIDECAR_KILL_TRIALS=100 \
	SIDECAR_RUN_KILLS=100 SIDECAR_RUNS=15 \
	SIDECAR_REFUSALS=100000 SIDECAR_UPDATES=100 SIDECAR_RACE_SECONDS=20 SIDECAR_SWAP_TRIES=20000 \
	SIDECAR_SWAP_SECONDS=1 SIDECAR_FUZZ_MESSAGES=10000 SIDECAR_FUZZ_HTTP_MESSAGES=2000 \
	SIDECAR_ANSWER_EXAMPLES=300 SIDECAR_INJECTION_EXAMPLES=400 SIDECAR_PATTERN_REPEATS=2

faults: .venv/dev.stamp ## kill, refuse, race and attack for long; ARGS="-k kills" chooses
	@$(THOROUGH) $(PY) -P -m pytest -q -s -m faults tests/faults $(ARGS)

bench-validation: .venv/dev.stamp ## measure what the harness costs beside bare pytest and coverage
	@$(PY) -P benchmarks/validation_overhead.py

packages: .venv/dev.stamp ## compare our counts with pytest's and coverage's own on public packages; ARGS=packaging
	@$(PY) -P tests/packages/run.py $(ARGS)

mutation: .venv/dev.stamp ## mutate a sample of the code and see whether its tests notice
	@$(VALIDATE) --full --category mutation

planted: .venv/dev.stamp ## plant ten defects, one at a time, and see that make validate finds each
	@$(PY) -P tests/planted/run.py $(ARGS)

torture: .venv/dev.stamp ## 200 random starts, kills and reconnections of channels and their sidecar; ARGS=--tcp
	@SIDECAR_TORTURE_ACTIONS=$${SIDECAR_TORTURE_ACTIONS:-200} SIDECAR_TORTURE_SECONDS=540 \
		$(if $(filter --tcp,$(ARGS)),SIDECAR_TRANSPORT=tcp) \
		$(PY) -P -m pytest -q -s tests/channel/test_torture.py $(filter-out --tcp,$(ARGS))

bench-channel: .venv/dev.stamp ## what clients wait for and cost through channels, beside SDK and Node servers
	@$(PY) -P benchmarks/channel_against_solo.py --install $(ARGS)

metrics: .venv/dev.stamp ## measure what docs/metrics.md states; ARGS=overhead for one source
	@$(PY) -P docs/measure.py $(ARGS)
	@$(PY) -P docs/generate.py

soak: .venv/dev.stamp ## half an hour of one-minute schedules, an agent that fails, hangs, crashes; SOAK_SECONDS=120
	@PYTHONPATH=. $(PY) -m tests.engine.soak

docs: .venv/dev.stamp ## write what is generated anew: pages, README's output, the opening answers
	@mkdir -p build
	@COLUMNS=120 NO_COLOR=1 $(PY) -P docs/generate.py
	@$(PY) -P -m sidecar.mcp.manifest > build/manifest.json.new && mv build/manifest.json.new sidecar/channel/manifest.json

report-images: .venv/dev.stamp ## pictures of the HTML report at 390 and 1280 px, and what a browser says of it
	@$(PY) -P docs/report_images.py $(ARGS)

changelog: .venv/dev.stamp ## gather changelog.d into CHANGELOG.md; VERSION=x.y.z
	@$(BIN)/towncrier build --yes --version "$(VERSION)"

vsix: .venv/dev.stamp ## package the VS Code extension
	@$(PY) editor-config/vscode/vsix.py

vscode: vsix ## drive the extension in a real VS Code, with screenshots
	@$(PY) editor-config/vscode/e2e/run.py

conformance: .venv/dev.stamp ## the official MCP suite and the Inspector, by Node
	@$(PY) tests/conformance/run.py

competition: .venv/dev.stamp ## processes compete for slots under kill -9, on SQLite and PostgreSQL
	@PYTHONPATH=. $(PY) -P -m tests.engine.run_competition $(ARGS)

fleet: .venv/dev.stamp ## four workers share the runs of 5 and of 50 workspaces
	@PYTHONPATH=. $(PY) -P -m tests.engine.run_fleet $(ARGS)

bench-engine: .venv/dev.stamp ## how late a due slot starts, and what the waiting engine costs
	@$(PY) -P benchmarks/engine.py $(ARGS)

calendar: .venv/dev.stamp ## 10,000 random schedules minute by minute, a simulated year, 2,000 real runs
	@HYPOTHESIS_PROFILE=thorough $(PY) -P -m pytest -q -s tests/domain/test_calendar.py \
		tests/engine/test_simulated_time.py tests/oracles/test_calendar_differences.py $(ARGS)

agents: .venv/dev.stamp ## drive the tools by the real agents and a scripted model; ARGS="--only codex"
	@$(PY) tests/agents/run.py $(ARGS)

agents-busy: .venv/dev.stamp ## Cline and Codex 20 times each while every processor is busy: all tools on turn one
	@for agent in cline codex; do \
		$(PY) tests/agents/run.py --only $$agent --transport stdio --times 20 --busy $(ARGS) || exit 1; done

agents-runs: .venv/dev.stamp ## real agents work on runs, are cancelled, time out; ARGS="--only codex"
	@$(PY) tests/agents/runs.py $(ARGS)

neovim: .venv/dev.stamp ## drive a headless Neovim
	@$(PY) -P -m pytest -m editor $(ARGS)

clean: ## remove caches and reports, keep .venv and backups
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks .nox \
		.coverage .coverage.* build dist $(REPORTS) state/logs

distclean: clean ## also remove .venv
	@rm -rf .venv
