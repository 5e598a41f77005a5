# Everything a developer runs. `make help` lists the targets.
# The environment is .venv; PYTHON=... chooses the interpreter it is made with.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell python3.11 -c '' 2>/dev/null && echo python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
CODE := $(wildcard ray_app jobs tests benchmarks)

.PHONY: help setup demo run check format test test-fast servers bench load soak kills drill conform screenshots train-sentiment clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) ## Make .venv and install the project with its test tools (again only if pyproject.toml changes)

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "setup: $(PYTHON) is missing or older than 3.11; install Python 3.11 or say PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  package="$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"; \
	  if [ "$$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then \
	    echo "setup: $(PYTHON) cannot make environments yet; installing $$package"; \
	    apt-get update -qq; \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$$package"; \
	  else \
	    echo "setup: $(PYTHON) lacks venv or ensurepip; install it first: sudo apt-get install $$package" >&2; \
	    exit 1; \
	  fi; }
	$(PYTHON) -m venv $(VENV)

$(INSTALLED): pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet -e '.[test]'
	@touch $@

demo: setup ## Run the node against simulated upstreams: no keys, no network
	$(BIN)/crypto-data up --demo

run: setup ## Run the node on this machine with the settings of .env
	$(BIN)/crypto-data up

check: setup ## Formatting, lint, types and the layers: under a minute when warm
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/python -m pytest -q tests/architecture

format: setup ## Rewrite the code as `check` wants it, where that is mechanical
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

# Its many processes import the same modules: each is compiled once. The long tests begin first (tests/conftest.py).
test: export PYTHONDONTWRITEBYTECODE =
test: setup servers ## The whole test suite, against real servers
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

test-fast: setup ## Tests that need no server and take no time
	$(BIN)/python -m pytest -q -m 'not slow and not mariadb and not redis and not ray and not chromium'

servers: ## Install the servers that the tests talk to, if they are missing
	@bash tests/install_servers.sh

bench: setup servers ## Run the benchmarks and print their figures (PART="quota start" for some of them)
	$(BIN)/python -m benchmarks $(PART)

load: setup servers ## Locust asks a node what a trading engine asks: LOAD_URL and LOAD_KEY of the environment, else a demo (USERS=20, SECONDS=60, RATE=2 each)
	$(BIN)/python -m benchmarks.under_load --users $(or $(USERS),20) --per-second $(or $(RATE),2) --seconds $(or $(SECONDS),60)

soak: setup ## Thirty simulated days over every source with faults and kills, three with every stream (DAYS=, FINE=, SEED=)
	$(BIN)/python -m tests.soak --days $(or $(DAYS),30) --seed $(or $(SEED),1) --quick
	$(BIN)/python -m tests.soak --days $(or $(FINE),3) --seed $(or $(SEED),1)

kills: setup ## Kill processes of a node while clients read its streams: each gets every event once (KILLS=200, CLIENTS=100)
	$(BIN)/python -m tests.kills --kills $(or $(KILLS),200) --clients $(or $(CLIENTS),100) --seed $(or $(SEED),1)

conform: setup ## Thousands of made-up requests by the documents, REST and GraphQL; every answer must be what they state (SEED=)
	$(BIN)/python -m tests.conform --seed $(or $(SEED),1)

drill: setup servers ## Play the end of a worker and of the head, an upgrade and more load on Ray clusters of this machine (DRILLS="labels upgrade")
	$(BIN)/python -m tests.drill $(if $(DRILLS),--only $(DRILLS))

screenshots: setup servers ## Take the README's pictures of the page anew, into docs/images
	$(BIN)/python -m tests.page

train-sentiment: setup ## Train the embedded model's head on labelled files (SETS="a.csv b.txt", OUT=head.json)
	@[ -n "$(SETS)" ] && [ -n "$(OUT)" ] || { echo 'train-sentiment: say SETS="labelled files" OUT=head.json' >&2; exit 1; }
	$(BIN)/python jobs/train_sentiment.py --out $(OUT) $(SETS)

clean: ## Remove what the tools left behind, and the environment
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
