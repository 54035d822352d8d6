# deposit: `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Python images set this to keep their layers small. Without .pyc files, every process of the stack and of the tests compiles Airflow or
# MLflow again, which takes longer than most of them run.
unexport PYTHONDONTWRITEBYTECODE
# the shell's settings for another Python, environment or project must not affect the targets
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS PIP_TARGET PIP_PREFIX PIP_ROOT
unexport VIRTUAL_ENV UV_PROJECT UV_PROJECT_ENVIRONMENT UV_PYTHON UV_NO_DEV UV_NO_DEFAULT_GROUPS
export PIP_USER := 0

UV_VERSION := 0.13.9
ACTIONLINT_VERSION := 1.7.12
ZIZMOR_VERSION := 1.32.0
UV := .tools/bin/uv
RUN := $(UV) run --frozen --no-sync
# uv does not run without a cache folder; if it cannot create one in the user's home, such as for a container's user, the clone has one
ifeq ($(shell own="$${UV_CACHE_DIR:-$${XDG_CACHE_HOME:-$${HOME:-/dev/null}/.cache}/uv}"; \
  until [ -e "$$own" ]; do own="$$(dirname -- "$$own")"; done; [ -d "$$own" ] && [ -w "$$own" ] && echo yes),)
export UV_CACHE_DIR := $(CURDIR)/.tools/cache
endif

# the Python of both environments: an interpreter or, as in `make PYTHON=3.13 test`, a version that uv has or downloads. The default is
# the one that they were created with
ifeq ($(origin PYTHON),undefined)
PYTHON := $(or $(shell sed -n 2p .venv/.synced 2> /dev/null),python3)
else
NAMED := yes
endif
# prints the interpreter behind a shim on the PATH, or only its version if that is not supported
BEHIND := import sys; v = sys.version_info; print(sys._base_executable if (3, 11) <= v < (3, 14) else "{}.{}".format(*v))
define interpreter
case "$(PYTHON)" in \
  3.*) python="$(PYTHON)";; \
  *) command -v "$(PYTHON)" > /dev/null || { echo "error: $(PYTHON) was not found: install Python 3.11 to 3.13, or choose one with PYTHON=" >&2; exit 1; }; \
    python="$$("$(PYTHON)" -c '$(BEHIND)')";; \
esac; \
case "$$python" in \
  /* | 3.1[123] | 3.1[123].*) ;; \
  *) [ -z "$(NAMED)" ] || { echo "error: Python $$python is not supported: choose one from 3.11 to 3.13, for example PYTHON=3.13" >&2; exit 1; }; \
    echo "$(PYTHON) is Python $$python, which is not supported: uv uses an installed Python from 3.11 to 3.13, or downloads one"; python='>=3.11,<3.14';; \
esac
endef

# an environment's scripts contain the path where it was created, so a moved or copied environment is rebuilt
comma := ,
ENVIRONMENTS := .venv .venv-airflow
MOVED := $(shell for each in $(ENVIRONMENTS); do [ ! -s $$each/.synced ] || [ "$$(head -1 $$each/.synced)" = "$$(pwd -P)" ] || echo $$each; done)
# and so is one with another Python than PYTHON
OTHER := $(if $(NAMED),$(shell for each in $(filter-out $(MOVED),$(ENVIRONMENTS)); do \
  [ ! -s $$each/.synced ] || [ "$$(sed -n 2p $$each/.synced)" = "$(PYTHON)" ] || echo $$each; done))

define environment
	@if [ -s $@ ] && [ "$$(head -1 $@)" != "$$(pwd -P)" ]; then \
	  echo "$(@D) was made in another folder, $$(head -1 $@): rebuilding it"; rm -rf $(@D); fi
	@$(interpreter); \
	echo "making $(@D) with $$python ($(1))"; \
	UV_PROJECT_ENVIRONMENT=$(@D) $(UV) sync --frozen --quiet --python "$$python" $(2) || { \
	  echo "error: $(@D) cannot be made with Python $$python: see above, or choose another with PYTHON=, from 3.11 to 3.13" >&2; \
	  exit 1; }
	@printf '%s\n' "$$(pwd -P)" "$(PYTHON)" > $@
endef

# sizes of benchmarks and tests: `make bench BENCH_ROUNDS=9`, `make test-chaos OUTAGE_SECONDS=60 KILLS=20`
BENCH_ROUNDS ?= 3
BENCH_SECONDS ?= 5
BENCH_ROWS ?= 100000 1000000
OUTAGE_SECONDS ?= 8
KILLS ?= 5
FUZZ_CASES ?= 10000
# parallel test processes
WORKERS ?= 2

# the compose command, for another engine `make up COMPOSE="podman compose"`
COMPOSE ?= docker compose
# names of the settings in this shell: compose passes only those that it knows, so the stack checks the names itself
export SHELL_SETTINGS := $(shell env | sed -n 's/^\(DEPOSIT_[A-Za-z0-9_]*\)=.*/\1/p')
export REVISION ?= $(shell git rev-parse HEAD 2> /dev/null || echo unknown)

.PHONY: help setup moved halted demo stop status ours up down credentials bench bench-models bench-score bench-capacity fuzz test test-fast test-servers coverage test-chaos test-page test-dags test-e2e test-aws images test-compose test-celery test-compose-aws chromium screenshots check format lint lint-docker lint-workflows types hooks clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.synced .venv-airflow/.synced ## Download uv and create both environments (other targets do it when needed)

demo: setup ## Start the whole stack without Docker, train and serve a champion; leaves it running
	@$(RUN) deposit demo

stop: $(if $(MOVED),setup) ## Stop the stack; its data stays in .deposit/
	@if [ -x .venv/bin/deposit ]; then .venv/bin/deposit down; else echo "nothing to stop: no environment yet"; fi

status: setup ## Show the stack's services and their addresses
	@$(RUN) deposit status

# Clones share a project name unless .env sets another. Containers that name a missing folder belong to this clone, which was moved from
# there. If plain compose in another clone took over part of this stack, some containers still name this folder.
LABELS := {{.Label "com.docker.compose.project"}} {{.Label "com.docker.compose.project.working_dir"}}
ours:
	@$(COMPOSE) --profile '*' ps --all --format '$(LABELS)' | sort -u | { other=; while read -r project folder; do \
	  if [ "$$folder" -ef . ]; then exit 0; fi; \
	  if [ -e "$$folder/docker-compose.yml" ]; then other="the project $$project is the stack of $$folder"; fi; done; \
	  if [ -n "$$other" ]; then \
	    echo "error: on this Docker engine $$other: run make down there, or give" \
	      "this clone COMPOSE_PROJECT_NAME and ports of its own in .env (docs/docker.md, a second clone)" >&2; exit 1; fi; }

# compose names the service that failed, but not the reason
up: ours ## Start the whole stack with Docker: builds changed images, waits until all services are healthy
	$(COMPOSE) up --build --detach --wait || { $(COMPOSE) ps --all --format '{{.ExitCode}} {{.Service}}' | \
	  while read -r code service; do [ "$$code" = 0 ] || { echo "last lines of $$service, which exited with code $$code:" >&2; \
	  $(COMPOSE) logs --no-log-prefix --tail 5 "$$service" < /dev/null >&2; }; done; exit 1; }
	@$(COMPOSE) run --rm --no-deps -T deposit release --renew || echo "the live service keeps the code that it was packaged with"

# serving containers are orphans to compose; if the releaser and cleanup are dead, nothing else removes them
down: ours ## Stop the stack with Docker; its data stays in its volumes, DOWN=--volumes deletes it
	$(COMPOSE) --profile '*' down --remove-orphans $(DOWN)
	@left="$$($(COMPOSE) --profile '*' ps --all --quiet)"; if [ -n "$$left" ]; then \
	  echo "error: still there:" $$left "- remove them with docker rm --force, then run make down again" >&2; exit 1; fi

# a clone without containers but with a state folder runs its stack without Docker
credentials: ## Show the logins and API keys of the stack, with Docker or without
	@if [ -z "$$($(COMPOSE) ps --all --quiet 2> /dev/null)" ] && [ -x .venv/bin/deposit ] && [ -e "$${DEPOSIT_STATE_DIR:-.deposit}" ]; then \
	  .venv/bin/deposit credentials; \
	else $(MAKE) --no-print-directory ours && $(COMPOSE) run --rm --no-deps -T credentials; fi

test: check test-servers coverage test-chaos test-page test-dags test-e2e test-aws ## Run all tests that need no Docker; 35 minutes on 2 cores

check: lint types test-fast ## Lint, types and the tests that start no servers

test-fast: setup
	$(RUN) pytest --numprocesses $(WORKERS) --dist loadfile --cov --cov-report= --cov-fail-under=0 -m "not servers and not e2e" --ignore=tests/dags --ignore=tests/compose --ignore=tests/terraform
	$(RUN) pytest --quiet --doctest-modules $$(grep --recursive --files-with-matches --include='*.py' '>>> ' plugins/deposit bento/serving)

test-servers: setup ## Contract tests with real servers: PostgreSQL, S3, MLflow, Caddy, supervisor, the service
	$(RUN) pytest --numprocesses $(WORKERS) --dist loadfile --cov --cov-append --cov-report= --cov-fail-under=0 -m servers tests/contract

coverage: setup ## Report the branch coverage of test-fast and test-servers; fails below the minimum
	$(RUN) coverage report

test-chaos: setup ## Stop and kill servers and fill disks under load: no answered prediction is lost
	$(RUN) pytest tests/chaos --outage-seconds $(OUTAGE_SECONDS) --kills $(KILLS)

test-page: setup chromium ## Test the pages in a real Chromium
	$(RUN) pytest tests/page

screenshots: setup chromium ## Update the screenshots in docs/screenshots
	$(RUN) pytest tests/page -k screenshots --screenshots

chromium:
	@command -v chromium > /dev/null || if [ "$$(id -u)" = 0 ]; then \
	  echo "fetching chromium"; apt-get update --quiet=2 && apt-get install --yes --quiet=2 --no-install-recommends chromium > /dev/null; \
	  else echo "error: chromium is not installed: run apt-get install chromium as root"; exit 1; fi

fuzz: setup ## Send 10,000 requests generated from the service's OpenAPI document
	$(RUN) pytest tests/contract/test_openapi_fuzz.py --fuzz-cases $(FUZZ_CASES)

bench: setup ## Compare the service and its monitoring with typical implementations on this machine; 15 minutes
	@command -v wrk > /dev/null || if [ "$$(id -u)" = 0 ]; then apt-get update --quiet=2 && apt-get install --yes --quiet=2 wrk; \
	  else echo "error: wrk is not installed: run apt-get install wrk as root"; exit 1; fi
	$(RUN) python -m benchmarks.run --rounds $(BENCH_ROUNDS) --seconds $(BENCH_SECONDS)
	PYTHONPATH=tests/support $(RUN) python -m benchmarks.monitoring --rounds $(BENCH_ROUNDS) --rows $(BENCH_ROWS)

bench-models: setup ## Compare all recipes, the refit policy and naive approaches on the same months; 3 minutes
	$(RUN) python -m benchmarks.models

bench-score: setup ## Compare batch scoring with XGBoost alone, 1 and 10 million rows; 7 minutes
	$(RUN) python -m benchmarks.scoring --rounds $(BENCH_ROUNDS)

bench-capacity: setup ## Measure the cost of a million predictions at each stage, at 100,000 and 1 million rows; 10 minutes
	@command -v wrk > /dev/null || { echo "error: wrk is not installed: run make bench once, or install it"; exit 1; }
	PYTHONPATH=tests/support $(RUN) python -m benchmarks.capacity

test-dags: setup ## Test the DAGs, in Airflow's own environment
	PYTHONPATH=plugins:dags .venv-airflow/bin/python -m pytest -c tests/dags/pytest.ini tests/dags

test-e2e: setup ## Test the whole stack, through its public interfaces
	$(RUN) pytest -m e2e tests/e2e

# a local mirror of Terraform providers (a folder that contains registry.terraform.io), if the registry cannot be reached
export TERRAFORM_PLUGINS ?=

test-aws: setup ## Test terraform/ on a simulated AWS: apply, read back, policies, checkov, destroy; needs Terraform 1.11
	@if command -v terraform > /dev/null; then $(RUN) pytest tests/terraform; \
	  else echo "test-aws is skipped: terraform is not installed, so nothing of terraform/ is tested"; fi

images: ## Build the images of the stack with Docker
	$(COMPOSE) build --quiet

test-compose: setup ## Test the unmodified stack with Docker: releases, kills, down and up again; needs an engine
	$(RUN) pytest tests/compose -m "not celery and not aws" --compose "$(COMPOSE)" --log-cli-level INFO

test-celery: setup ## Test Airflow with several workers, one killed and one joining late; needs an engine, 5 minutes, not in `make test`
	$(RUN) pytest tests/compose -m celery --compose "$(COMPOSE)" --log-cli-level INFO

test-compose-aws: setup ## Test the stack with Docker and a simulated S3, Secrets Manager and RDS; needs an engine on Linux, not in `make test`
	$(RUN) pytest tests/compose -m aws --compose "$(COMPOSE)" --log-cli-level INFO

lint-docker: setup ## Check the Dockerfile and the compose files
	$(RUN) hadolint docker/Dockerfile
	docker compose --profile '*' config --quiet
	docker compose -f docker-compose.yml -f docker-compose.seaweedfs.yml --profile '*' config --quiet
	docker compose --env-file .env.aws.example -f docker-compose.yml -f docker-compose.aws.yml --profile '*' config --quiet

lint-workflows: .tools/bin/uv ## Check GitHub's workflows: security with zizmor, syntax with actionlint if Go is installed
	@if command -v go > /dev/null; then \
	  GOBIN="$$(pwd -P)/.tools/bin" go install github.com/rhysd/actionlint/cmd/actionlint@v$(ACTIONLINT_VERSION) && \
	  .tools/bin/actionlint -shellcheck= -pyflakes=; \
	  else echo "Go is not installed, so the syntax of the workflows is not checked (actionlint)"; fi
	$(UV) tool run --quiet zizmor==$(ZIZMOR_VERSION) --offline --quiet .github/workflows

lint: setup ## Check style and the direction of imports
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) lint-imports --no-cache

types: setup ## Check types with strict mypy; DAGs are checked in Airflow's environment
	$(RUN) mypy
	MYPYPATH=dags $(RUN) mypy --python-executable .venv-airflow/bin/python --follow-imports silent \
	  --cache-dir .mypy_cache/airflow dags plugins/deposit_plugin.py

format: setup ## Format the code and fix what ruff can fix
	$(RUN) ruff format
	$(RUN) ruff check --fix

hooks: setup ## Install a Git hook that runs `make check` before every commit
	$(RUN) pre-commit install

clean: stop ## Remove the stack's data and both environments
	rm -rf .deposit .venv .venv-airflow .tools

.tools/bin/uv:
	@python="$$(command -v "$(PYTHON)" || command -v python3 || command -v "python$(PYTHON)")" || { \
	  echo "error: there is no python3: install Python 3.11 to 3.13, or choose one with PYTHON=" >&2; exit 1; }; \
	echo "fetching uv $(UV_VERSION)"; "$$python" -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: uv.lock pyproject.toml | .tools/bin/uv
	$(call environment,models$(comma) service$(comma) stack; 1.5 GB)

.venv-airflow/.synced: uv.lock pyproject.toml | .tools/bin/uv
	$(call environment,Airflow; 0.8 GB,--only-group airflow)

ifneq ($(MOVED),)
$(addsuffix /.synced,$(MOVED)): moved
endif

# a running stack is stopped first: processes that supervisor restarts would use the new Python, the others the old one
halted:
	@$(interpreter); if .venv/bin/python -c "" 2> /dev/null; then .venv/bin/deposit down; fi

ifneq ($(OTHER),)
$(addsuffix /.synced,$(OTHER)): halted
endif
