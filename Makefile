# LinkFlow: `make help` lists the targets.
SHELL := /bin/bash
PY := .venv/bin/python
ONCE ?=
PEERS ?=
TIMES ?= 100
PROCESSES ?= 3
CONSOLE := layers/linkflow/python/linkflow/http/console/index.html

.DEFAULT_GOAL := help
.PHONY: help setup console console-check run test check lint types floors proto proto-check node-docs node-docs-check api-docs client bench migrations-check fuzz chaos fleet losing sam sam-check smoke deploy-local lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

.venv/.ready: pyproject.toml requirements.lock scripts/setup.sh
	@scripts/setup.sh

setup: .venv/.ready ## make the environment (.venv), and the console
	@$(MAKE) --no-print-directory -q $(CONSOLE) 2>/dev/null || scripts/console.sh --try

# The same files that scripts/console.sh reads.
$(CONSOLE): web/package-lock.json web/index.html web/vite.config.ts $(shell find web/src -type f ! -name schema.d.ts) | .venv/.ready
	@scripts/console.sh

console: $(CONSOLE) ## build the console into the package

console-check: .venv/.ready $(CONSOLE) ## types of the console against the API's document, and its unit tests
	@mkdir -p .tools && .venv/bin/linkflow openapi > .tools/openapi.json
	@scripts/console.sh types test

run: setup ## start everything on this machine and run the sample workflow (ONCE=1: then stop)
	@.venv/bin/linkflow up --sample $(if $(ONCE),--once)

# A third of what tests take is waiting, for a lease, a delay, a process that starts: three at once keep two cores busy.
test: .venv/.ready .tools/sam/.ready .tools/browser/.ready $(CONSOLE) ## all tests, in PROCESSES (3) at once
	@$(PY) -m pytest -n $(PROCESSES) --dist loadfile

check: lint types floors proto-check node-docs-check console-check ## ruff, mypy, import-linter, generated code and pages, the console

lint: .venv/.ready ## ruff
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

types: .venv/.ready ## mypy, strict
	@.venv/bin/mypy

floors: .venv/.ready ## import-linter: the floors of docs/architecture.md
	@.venv/bin/lint-imports --no-logo

proto: .venv/.ready ## generate the protobuf code
	@$(PY) scripts/proto.py

proto-check: .venv/.ready ## is the generated protobuf code current?
	@$(PY) scripts/proto.py --check

node-docs: .venv/.ready ## write docs/nodes from the node types
	@.venv/bin/linkflow node docs

node-docs-check: .venv/.ready ## are the pages of docs/nodes current?
	@.venv/bin/linkflow node docs --check

api-docs: .venv/.ready ## what the API answers, into http/answers, from what it answers to the tests (ARGS=tests: to these)
	@rm -rf .tools/answers && mkdir -p .tools/answers
	@LINKFLOW_SEEN_ANSWERS=$(CURDIR)/.tools/answers $(PY) -m pytest -q -n 2 $(or $(ARGS),tests/integration/control)
	@$(PY) scripts/api_answers.py .tools/answers && $(PY) scripts/api_client.py

client: .venv/.ready ## write linkflow/client/generated from the OpenAPI document
	@$(PY) scripts/api_client.py


bench: .venv/.ready ## benchmarks: prints a table, writes bench/results/latest.json (PEERS=1: peers beside it)
	@$(PY) -m bench $(if $(PEERS),--peers) $(ARGS)

migrations-check: .venv/.ready ## all migrations on a million runs, beside writers: prints the longest wait (ARGS="--runs 100000")
	@$(PY) -m bench.migrations $(ARGS)

fuzz: .venv/.ready ## schemathesis against a whole LinkFlow, as each role (ARGS="--roles viewer --examples 100")
	@$(PY) -m tests.fuzz $(ARGS)

chaos: .venv/.ready .tools/sam/.ready ## the long fault suites, then every fault TIMES (100) times
	@LINKFLOW_MODEL_SEEDS=$${LINKFLOW_MODEL_SEEDS:-10000} $(PY) -m pytest -m "slow or not slow" tests/chaos tests/model tests/e2e/test_containers.py tests/e2e/test_fleet.py tests/e2e/test_rolling.py $(ARGS)
	@ENGINE_EXAMPLES=$${ENGINE_EXAMPLES:-3000} $(PY) -m pytest tests/unit/engine
	@$(PY) -m tests.chaos --times $(TIMES)

fleet: .venv/.ready ## many machines and a rolling upgrade: two databases, a Valkey cluster, today's release and the next one, with runs in flight
	@$(PY) -m pytest -q -m "slow or not slow" tests/e2e/test_rolling.py $(ARGS)

losing: .venv/.ready ## each service and store killed, replaced, frozen and cut off, with runs under way: the table of docs/containers.md
	@$(PY) -m tests.e2e.losing

.tools/sam/.ready: scripts/sam-tools.sh scripts/sam.lock
	@scripts/sam-tools.sh

sam: .tools/sam/.ready $(CONSOLE) ## build the deployment package with SAM
	@.tools/sam/bin/sam build

sam-check: .tools/sam/.ready ## validate template.yaml
	@.tools/sam/bin/sam validate --lint

.tools/emulator/.ready: scripts/emulator-tools.sh scripts/emulator.lock
	@scripts/emulator-tools.sh

smoke: .venv/.ready .tools/sam/.ready .tools/emulator/.ready $(CONSOLE) ## one story on every way of running: one process, six services over gRPC, AWS Lambda; a table (ARGS="--on up")
	@$(PY) -m tests.smoke $(ARGS)

deploy-local: .venv/.ready .tools/sam/.ready .tools/emulator/.ready $(CONSOLE) ## the part of it on Lambda: deploy the template to an emulator of AWS here, try it, and say what it costs
	@$(PY) -m tests.smoke --on lambda $(ARGS)

.tools/browser/.ready: scripts/browser-tools.sh tests/browser/fetched/package-lock.json | .venv/.ready
	@scripts/browser-tools.sh

lock: .venv/.ready ## renew requirements.lock from pyproject.toml
	@scripts/lock.sh

clean: ## remove environments and build output (keeps .linkflow/)
	@rm -rf web/node_modules $(dir $(CONSOLE))
	@rm -rf .venv .tools .aws-sam build dist .mypy_cache .ruff_cache .pytest_cache
