# deposit: `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .tools/bin/uv
RUN := $(UV) run --frozen --no-sync
# the interpreter that made .tools, whatever shim stands for it on the PATH
SYNC = $(UV) sync --frozen --quiet --python "$$(.tools/bin/python -c 'import sys; print(sys._base_executable)')"
export UV_PYTHON_DOWNLOADS = never

.PHONY: help setup demo stop status test test-fast test-dags test-e2e check format lint types hooks clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.synced .venv-airflow/.synced ## Fetch uv and make both environments (the others do it by themselves)

demo: setup ## The whole stack without Docker, to a served champion; leaves it running
	@$(RUN) deposit demo

stop: ## Stop the stack; its data stays in .deposit/
	@if [ -x .venv/bin/deposit ]; then .venv/bin/deposit down; else echo "nothing to stop: no environment yet"; fi

status: setup ## What runs, and where
	@$(RUN) deposit status

test: check test-servers test-dags test-e2e ## Every test (check, DAGs, the whole stack); 2 cores, under 15 minutes

check: lint types test-fast ## Lint, types and the tests that start no servers

test-fast: setup
	$(RUN) pytest -m "not servers and not e2e" --ignore=tests/dags

test-servers: setup ## Contracts with real servers: PostgreSQL, S3, MLflow, Caddy, supervisor, the service
	$(RUN) pytest -m "servers and not e2e" --ignore=tests/dags

test-dags: setup ## The DAGs, in Airflow's own environment
	PYTHONPATH=plugins:dags .venv-airflow/bin/python -m pytest -c tests/dags/pytest.ini tests/dags

test-e2e: setup ## The whole stack, through its public face
	$(RUN) pytest -m e2e tests/e2e

lint: setup ## Style, and the direction of imports
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) lint-imports --no-cache

types: setup ## Types, strictly
	$(RUN) mypy

format: setup ## Put the code into the house's form
	$(RUN) ruff format
	$(RUN) ruff check --fix

hooks: setup ## Run `make check` before every commit
	$(RUN) pre-commit install

clean: stop ## Remove the stack's data and both environments
	rm -rf .deposit .venv .venv-airflow .tools

.tools/bin/uv:
	@command -v $(PYTHON) > /dev/null || { echo "error: $(PYTHON) is not there: install Python 3.11 or 3.12, or set PYTHON="; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
	  { echo "error: $(PYTHON) is $$($(PYTHON) -V), 3.11 or 3.12 is needed: set PYTHON=python3.11"; exit 1; }
	@echo "fetching uv $(UV_VERSION)"
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: uv.lock pyproject.toml | .tools/bin/uv
	@echo "making .venv (models, service, stack; 1.5 GB)"
	@UV_PROJECT_ENVIRONMENT=.venv $(SYNC)
	@touch $@

.venv-airflow/.synced: uv.lock pyproject.toml | .tools/bin/uv
	@echo "making .venv-airflow (Airflow; 0.8 GB)"
	@UV_PROJECT_ENVIRONMENT=.venv-airflow $(SYNC) --only-group airflow
	@touch $@
