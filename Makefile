# Every target says what it is about to do. `demo` needs nothing but Python 3.11; `test` and
# `demo-kafka` start real servers and need a JDK and Maven too.

DEMO ?= examples.flights
DEMO_CRASH ?= examples.flights --crash
DEMO_KAFKA ?= examples.flights_kafka_demo
BENCH ?= benchmarks
SIMULATOR ?= tests.simulator
SEEDS ?= 1-200
# How long each campaign runs, and from which seed.
SHORT_CAMPAIGN ?= 10
FULL_CAMPAIGN ?= 300
SEED ?= 1
SOAK_SECONDS ?= 900
VERSIONS_ARGS ?=
# What docs/stability.md calls public: the face, the test kit, the connectors, and the protocol with
# what its signatures name.
REFERENCE := samza_py samza_py.testing samza_py.testing.conformance \
        samza_py.connectors.files samza_py.connectors.kafka samza_py.connectors.memory \
        samza_py.connectors.local \
        $(addprefix samza_py.,system consumer producer admin transaction checkpoint store \
        coordination resource message serde policies errors values) \
        '!samza_py\.(connectors|testing)\.\w+\.\w+'
REFERENCE_FOLDER ?= build/reference
# Test processes at once; `make test WORKERS=0` runs all in one, for a debugger.
WORKERS ?= auto
PYTEST_ARGS ?=

# The tests start some hundred interpreters: each module is compiled once and not in every one.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help demo demo-crash demo-kafka services test check lint types floors test-memory test-slow \
        image test-container soak simulate bench instructions versions doctor environment lock reference audit sbom clean

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses=8 --dist=worksteal
SAY := @printf '\n== %s\n'
# Brings .venv up to date with the named locks; says nothing and asks no network where it is.
ENVIRONMENT = @python="$$(dev/find_python.sh)" && "$$python" -m dev.environment

help: ## say what each target does
	@echo 'make TARGET, where TARGET is one of:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | \
		while IFS='|' read -r name what; do printf '%-14s %s\n' "$$name" "$$what"; done

demo: ## stream a year of flights through a job (needs Python >= 3.11 alone)
	$(SAY) 'demo: a year of flights through one job'
	$(ENVIRONMENT) run demo
	@$(BIN)/python -m $(DEMO)

demo-crash: ## the same, killed in the middle and started again
	$(SAY) 'demo-crash: the same job, killed in the middle and started again'
	$(ENVIRONMENT) run demo
	@$(BIN)/python -m $(DEMO_CRASH)

demo-kafka: ## from Kafka to Kafka on a real broker, killed on the way (needs a JDK and Maven)
	$(SAY) 'demo-kafka: flights from Kafka to Kafka, the job killed on the way'
	$(ENVIRONMENT) dev demo
	@$(BIN)/python -m $(DEMO_KAFKA)

services: ## fetch the servers of the tests, once for all checkouts (needs a JDK and Maven)
	$(SAY) 'services: real servers for the tests, in a cache of the user'
	$(ENVIRONMENT) dev
	@$(BIN)/python -m tests.services

test: services ## all tests, campaigns in their short form (under 30 minutes; needs a JDK and Maven)
	$(SAY) 'test: all tests; each campaign for $(SHORT_CAMPAIGN) s'
	$(ENVIRONMENT) dev
	@$(PYTEST) -m 'not slow' --seconds $(SHORT_CAMPAIGN) --seed $(SEED) $(PYTEST_ARGS)

check: lint types floors test-memory ## lint, types, floors, memory-only tests (under 2 minutes)

lint: ## ruff, its format too
	$(SAY) 'lint: ruff check, ruff format --check'
	$(ENVIRONMENT) dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: ## mypy and pyright, both strict
	$(SAY) 'types: mypy --strict, pyright strict'
	$(ENVIRONMENT) dev
	@$(BIN)/mypy
	@$(BIN)/pyright

floors: ## imports go downwards only
	$(SAY) 'floors: import-linter'
	$(ENVIRONMENT) dev
	@$(BIN)/lint-imports --no-logo

test-memory: ## the tests that need no service, no minutes
	$(SAY) 'test-memory: tests without services and campaigns'
	$(ENVIRONMENT) dev
	@$(PYTEST) -m 'not slow and not campaign and not tooling and not service' $(PYTEST_ARGS)

test-slow: services ## the slow tests and the full campaigns
	$(SAY) 'test-slow: slow tests; each campaign for $(FULL_CAMPAIGN) s'
	$(ENVIRONMENT) dev
	@$(PYTEST) -m '(slow or campaign) and not container' --seconds $(FULL_CAMPAIGN) --seed $(SEED) $(PYTEST_ARGS)

image: ## build the image without a Docker engine, run a job in it (root; buildah, debootstrap)
	$(SAY) 'image: the Dockerfile by buildah, on a base by debootstrap'
	@deploy/build_without_docker.sh

test-container: services ## the same, and the job of compose.yaml in the image on a real broker
	$(SAY) 'test-container: the image is built, and runs jobs'
	$(ENVIRONMENT) dev
	@$(BIN)/python -m pytest -s -m container tests/deploy $(PYTEST_ARGS)

soak: services ## a job on Kafka under load and kills for 15 minutes: nothing may grow or be lost
	$(SAY) 'soak: $(SOAK_SECONDS) s from Kafka to Kafka; a container and the broker are killed on the way'
	$(ENVIRONMENT) dev
	@$(BIN)/python -m tests.campaigns.soak --seconds $(SOAK_SECONDS) --seed $(SEED)

simulate: ## run the simulator over seeds: make simulate SEEDS=1-1000
	$(SAY) 'simulate: seeds $(SEEDS)'
	$(ENVIRONMENT) dev
	@$(BIN)/python -m $(SIMULATOR) --seeds $(SEEDS)

bench: ## run the benchmarks
	$(SAY) 'bench: benchmarks on this machine'
	$(ENVIRONMENT) dev demo
	@$(BIN)/python -m $(BENCH)

instructions: ## instructions a message on the memory path, against what is recorded (callgrind)
	$(SAY) 'instructions: the memory path, counted by callgrind'
	$(ENVIRONMENT) dev
	@$(BIN)/python -m benchmarks.instructions

versions: ## unit and conformance tests on every Python that the classifiers claim
	$(SAY) 'versions: unit and conformance tests on every claimed Python'
	@python="$$(dev/find_python.sh)" && "$$python" -m dev.versions $(VERSIONS_ARGS)

doctor: ## list what is here, what is missing, and how to get it
	@python="$$(dev/find_python.sh)" && "$$python" -m dev.doctor

environment: ## create or update .venv with all tools
	$(SAY) 'environment: .venv with all tools'
	$(ENVIRONMENT) run dev

lock: ## write dev/locks anew from pyproject.toml (needs uv)
	$(SAY) 'lock: pins and hashes of every tool and dependency'
	@command -v uv >/dev/null || { echo 'uv is needed. Install it with: pipx install uv' >&2; exit 1; }
	$(ENVIRONMENT) run
	@$(BIN)/python -m dev.lock

reference: ## write the API reference to build/reference, from the docstrings
	$(SAY) 'reference: $(REFERENCE_FOLDER)/index.html'
	$(ENVIRONMENT) dev
	@$(BIN)/python -W 'ignore:Error parsing type annotation' -m pdoc --docformat google --output-directory $(REFERENCE_FOLDER) \
		$(REFERENCE)

audit: ## known vulnerabilities in the locked dependencies (asks the network)
	$(SAY) 'audit: known vulnerabilities in the locked dependencies'
	$(ENVIRONMENT) --venv .venvs/audit audit
	@.venvs/audit/bin/pip-audit --disable-pip --require-hashes -r dev/locks/run.txt

sbom: ## write a CycloneDX bill of materials to build/sbom.json
	$(SAY) 'sbom: build/sbom.json'
	$(ENVIRONMENT) --venv .venvs/audit audit
	@mkdir -p build
	@.venvs/audit/bin/cyclonedx-py requirements dev/locks/run.txt --output-file build/sbom.json

clean: ## remove environments and what tools left behind
	$(SAY) 'clean: environments and caches'
	@rm -rf .venv .venvs build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
