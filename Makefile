# Everything a newcomer, a developer or CI does with the project. `make` alone lists it.
# Needs python3 (3.11 or later) and make; the rest comes into .venv, locked by hash.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
RUN_STAMP := $(VENV)/.runtime-stamp
DEV_STAMP := $(VENV)/.dev-stamp
LOCKED_SETS := $(addprefix requirements/,runtime build dev compile fuzz release) tests/clients/python/requirements bench/peers/litellm/requirements

# In CI, what fails beside everything else is run once more by itself. Passing only then is a fault to report.
ONCE_MORE = { echo "Once more, by itself: what failed."; $(BIN)/pytest --last-failed; }
COMPILED_ONCE_MORE = { echo "Once more, by itself: what failed."; \
  PYTHONPATH=$(CURDIR)/.tools/accelerated $(BIN)/pytest --last-failed tests/relay tests/agent/test_boxes.py tests/unit/data_plane/core tests/unit/data_plane/key_test; }

.DEFAULT_GOAL := help
.PHONY: help run test compiled pythons portal image chart processes lab boxes clients clients-newest test-tools chart-examples check fmt bench bench-peers docs lock openapi release clean nightly

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

run: $(RUN_STAMP) ## start the whole gateway, embedded (ARGS='--port-base 20000')
	@exec $(BIN)/aigw up $(ARGS)

test: $(DEV_STAMP) ## run every test (ARGS='-k name')
	$(BIN)/pytest -n auto --dist loadgroup --durations=15 $(ARGS) $(if $(CI),|| $(ONCE_MORE))

compiled: $(DEV_STAMP) ## compile the relay into .tools/accelerated, and run the relay's tests on that
	$(BIN)/python -m tools.accelerate .tools/accelerated
	PYTHONPATH=$(CURDIR)/.tools/accelerated $(BIN)/aigw version | grep compiled
	PYTHONPATH=$(CURDIR)/.tools/accelerated $(BIN)/pytest -n auto --dist loadgroup \
	  tests/relay tests/agent/test_boxes.py tests/unit/data_plane/core tests/unit/data_plane/key_test $(ARGS) $(if $(CI),|| $(COMPILED_ONCE_MORE))

pythons: $(DEV_STAMP) ## run the relay's core and the first use on every newer Python found on this machine
	@tools/other_pythons.sh

portal: $(DEV_STAMP) ## run the Portal's tests in Chromium, and its modules' under node (after make test-tools)
	$(BIN)/pytest -n auto --dist loadgroup tests/portal tests/unit/control_plane/portal $(ARGS)

faults: $(DEV_STAMP) ## run the fault tests in full (25 minutes) and write docs/reliability.md
	$(BIN)/pytest tests/faults --ignore tests/faults/relay --faults full --faults-page docs/reliability.md $(ARGS)

processes: $(DEV_STAMP) ## kill workers for a minute and restart a fleet three times, both under load (4 minutes)
	$(BIN)/pytest tests/e2e/test_workers.py tests/e2e/test_rolling_restart.py tests/e2e/test_draining.py --processes full $(ARGS)

lab: $(DEV_STAMP) ## run the laboratory in full: boxes on QEMU, churn, upgrades (as root, 10 to 25 minutes)
	$(BIN)/pytest tests/lab tests/agent --lab full $(ARGS)

boxes: $(DEV_STAMP) ## start a gateway, a node agent and boxes of two orgs on QEMU, to look inside (as root)
	@exec $(BIN)/python -m tools.boxes $(ARGS)

test-tools: ## get the real servers and clients for tests: Debian's (as root), Go's, Node's and Python's
	@tools/test_tools.sh

image: $(DEV_STAMP) ## build the image, look into it, and run docker-compose.yml by podman-compose (root, 10 minutes)
	$(BIN)/pytest tests/image -m full_image $(ARGS)
	$(BIN)/python -m tools.image_page

chart: $(DEV_STAMP) ## install, upgrade and roll back every example of the Helm chart on a Kubernetes node (root)
	$(BIN)/pytest tests/chart -m "full_chart or not full_chart" $(ARGS)

clients: $(DEV_STAMP) ## run the released clients, and measure their matrix (after make test-tools; 45 minutes, 4 GB)
	tools/more_clients.sh
	$(BIN)/pytest tests/clients $(ARGS)
	$(BIN)/python -m tests.clients.matrix.measure
	$(BIN)/python -m tools.clients_page

clients-newest: $(DEV_STAMP) ## measure the newest of every client, and print what differs from the record
	$(BIN)/python -m tests.clients.matrix.newest $(ARGS)

nightly: $(DEV_STAMP) ## the long runs: 100,000 generated heads and paths, 20,000 aborts (about an hour)
	$(BIN)/pytest -m nightly --timeout=7200 $(ARGS)
	$(BIN)/pytest tests/unit/data_plane/core --hypothesis-profile=nightly --timeout=7200

check: $(DEV_STAMP) ## lint, format, types, import rules, Dockerfiles; needs no service
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/hadolint deploy/docker/Dockerfile tools/image/stand-ins/Dockerfile
	tools/portal_check.sh

fmt: $(DEV_STAMP) ## format and fix what can be fixed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	tools/portal_check.sh --write

bench: $(DEV_STAMP) ## measure the gateway beside nginx and FastAPI + httpx
	$(BIN)/python -m bench $(ARGS)

bench-peers: ## get LiteLLM and Portkey's gateway for make bench to measure as well (Python's and Node's index)
	@PYTHON=$(PYTHON) tools/bench_peers.sh

docs: $(DEV_STAMP) ## write the generated pages in docs/ again from the code
	$(BIN)/python -m tools.errors_page
	$(BIN)/python -m tools.refusals_page
	$(BIN)/python -m tools.settings_page
	$(BIN)/python -m tools.bad_input_page
	$(BIN)/python -m tools.rest_page
	$(BIN)/python -m tools.events_page
	$(BIN)/python -m tools.metrics_page
	$(BIN)/python -m tools.access_log_page
	$(BIN)/python -m bench.pages
	$(BIN)/python -m tools.chart_pages
	$(BIN)/python -m tools.refused_routes_page
	$(BIN)/python -m tools.doctor_page
	$(BIN)/python -m tools.clients_page

chart-examples: $(DEV_STAMP) ## render the examples of the Helm chart again (after make test-tools)
	$(BIN)/python -m tools.chart_examples $$(command -v helm || echo .tools/helm/helm)

openapi: $(DEV_STAMP) ## write openapi.json again from the code
	$(BIN)/aigw openapi > openapi.json.new && mv openapi.json.new openapi.json

# A pin names the extras that other packages ask for: pip 23.2 else looks for those beside the pin, finds a newer release, and
# refuses that for its missing hash.
lock: $(DEV_STAMP) ## resolve every requirements file again; commits no registry address
	for set in $(LOCKED_SETS); do \
	  $(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	    --no-annotate --no-strip-extras --custom-compile-command 'make lock' $$set.in -o $$set.txt || exit 1; \
	done

release: $(DEV_STAMP) ## make a release's files in dist/: wheel, chart, bill of materials, provenance, checksums (ARGS=--draft)
	$(PYTHON) -m venv .tools/release
	.tools/release/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/release.txt
	$(BIN)/python -m tools.release dist $(ARGS)

clean: ## forget the virtual environment, caches and embedded data
	rm -rf $(VENV) .data .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed; $(PYTHON) is older. Say PYTHON=/path/to/python3.11."; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements/runtime.txt requirements/build.txt pyproject.toml | $(VENV)/bin/python
	@echo "Installing the locked runtime packages into $(VENV) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/runtime.txt -r requirements/build.txt
	@$(BIN)/pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) requirements/dev.txt
	@echo "Installing the locked test packages into $(VENV) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@
