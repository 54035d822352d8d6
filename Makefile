# deposit: `make help` lists what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# images of Python set it for their layers' sake; without compiled files every process of the stack and of the tests compiles
# Airflow or MLflow anew, for longer than most of them run
unexport PYTHONDONTWRITEBYTECODE
# what a shell has set for a Python, an environment or a project of its own is not for these
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS PIP_TARGET PIP_PREFIX PIP_ROOT
unexport VIRTUAL_ENV UV_PROJECT UV_PROJECT_ENVIRONMENT UV_PYTHON UV_NO_DEV UV_NO_DEFAULT_GROUPS
export PIP_USER := 0

UV_VERSION := 0.13.9
ACTIONLINT_VERSION := 1.7.12
ZIZMOR_VERSION := 1.32.0
UV := .tools/bin/uv
RUN := $(UV) run --frozen --no-sync

# the Python of both environments: a program or, as in `make PYTHON=3.13 test`, a version that uv has or fetches; where none is
# named, what they were made with
ifeq ($(origin PYTHON),undefined)
PYTHON := $(or $(shell sed -n 2p .venv/.synced 2> /dev/null),python3)
else
NAMED := yes
endif
# the program behind whatever shim stands for it on the PATH; of one that does not fit the version
BEHIND := import sys; v = sys.version_info; print(sys._base_executable if (3, 11) <= v < (3, 14) else "{}.{}".format(*v))
define interpreter
case "$(PYTHON)" in \
  3.*) python="$(PYTHON)";; \
  *) command -v "$(PYTHON)" > /dev/null || { echo "error: $(PYTHON) is not there: install Python 3.11 to 3.13, or name one with PYTHON=" >&2; exit 1; }; \
    python="$$("$(PYTHON)" -c '$(BEHIND)')";; \
esac; \
case "$$python" in \
  /* | 3.1[123] | 3.1[123].*) ;; \
  *) [ -z "$(NAMED)" ] || { echo "error: Python $$python does not fit: name one from 3.11 to 3.13, as PYTHON=3.13" >&2; exit 1; }; \
    echo "$(PYTHON) is Python $$python, which does not fit: uv takes one from 3.11 to 3.13 that is here, or fetches it"; python='>=3.11,<3.14';; \
esac
endef

# an environment's programs hold the path where it was made: one that was moved or copied is made again
comma := ,
ENVIRONMENTS := .venv .venv-airflow
MOVED := $(shell for each in $(ENVIRONMENTS); do [ ! -s $$each/.synced ] || [ "$$(head -1 $$each/.synced)" = "$$(pwd -P)" ] || echo $$each; done)
# and so is one of another Python than is named
OTHER := $(if $(NAMED),$(shell for each in $(filter-out $(MOVED),$(ENVIRONMENTS)); do \
  [ ! -s $$each/.synced ] || [ "$$(sed -n 2p $$each/.synced)" = "$(PYTHON)" ] || echo $$each; done))

define environment
	@if [ -s $@ ] && [ "$$(head -1 $@)" != "$$(pwd -P)" ]; then \
	  echo "$(@D) was made in another folder, $$(head -1 $@): it is made again"; rm -rf $(@D); fi
	@$(interpreter); \
	echo "making $(@D) with $$python ($(1))"; \
	UV_PROJECT_ENVIRONMENT=$(@D) $(UV) sync --frozen --quiet --python "$$python" $(2) || { \
	  echo "error: $(@D) cannot be made with Python $$python: see above, or name another with PYTHON=, from 3.11 to 3.13" >&2; \
	  exit 1; }
	@printf '%s\n' "$$(pwd -P)" "$(PYTHON)" > $@
endef

# how thorough: `make bench BENCH_ROUNDS=9`, `make test-chaos OUTAGE_SECONDS=60 KILLS=20`
BENCH_ROUNDS ?= 3
BENCH_SECONDS ?= 5
BENCH_ROWS ?= 100000 1000000
OUTAGE_SECONDS ?= 8
KILLS ?= 5
FUZZ_CASES ?= 10000
# processes that run tests side by side
WORKERS ?= 2

# another engine's client: `make up COMPOSE="podman compose"`
COMPOSE ?= docker compose
export REVISION ?= $(shell git rev-parse HEAD 2> /dev/null || echo unknown)

.PHONY: help setup moved halted demo stop status ours up down credentials bench bench-models bench-score bench-capacity fuzz test test-fast test-servers coverage test-chaos test-page test-dags test-e2e test-aws images test-compose test-celery test-compose-aws chromium screenshots check format lint lint-docker lint-workflows types hooks clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: .venv/.synced .venv-airflow/.synced ## Fetch uv and make both environments (the others do it by themselves)

demo: setup ## The whole stack without Docker, to a served champion; leaves it running
	@$(RUN) deposit demo

stop: $(if $(MOVED),setup) ## Stop the stack; its data stays in .deposit/
	@if [ -x .venv/bin/deposit ]; then .venv/bin/deposit down; else echo "nothing to stop: no environment yet"; fi

status: setup ## What runs, and where
	@$(RUN) deposit status

# every clone's project has the same name unless its .env gives another; a folder that is gone was moved to here, and of a
# stack that plain compose has taken over some parts are still this clone's
LABELS := {{.Label "com.docker.compose.project"}} {{.Label "com.docker.compose.project.working_dir"}}
ours:
	@$(COMPOSE) --profile '*' ps --all --format '$(LABELS)' | sort -u | { other=; while read -r project folder; do \
	  if [ "$$folder" -ef . ]; then exit 0; fi; \
	  if [ -e "$$folder/docker-compose.yml" ]; then other="the project $$project is the stack of $$folder"; fi; done; \
	  if [ -n "$$other" ]; then \
	    echo "error: on this Docker engine $$other: run make down there, or give" \
	      "this clone COMPOSE_PROJECT_NAME and ports of its own in .env (docs/docker.md, a second clone)" >&2; exit 1; fi; }

up: ours ## The whole stack with Docker: builds what has changed, waits until all is healthy
	$(COMPOSE) up --build --detach --wait
	@$(COMPOSE) run --rm --no-deps -T deposit release --renew || echo "what serves goes on with the code that it was packaged with"

# the services' containers are orphans to compose, and nobody's if the releaser and cleanup are dead
down: ours ## Stop the stack with Docker; its data stays in its volumes, DOWN=--volumes drops it
	$(COMPOSE) --profile '*' down --remove-orphans $(DOWN)
	@left="$$($(COMPOSE) --profile '*' ps --all --quiet)"; if [ -n "$$left" ]; then \
	  echo "error: still there:" $$left "- remove them with docker rm --force, then run make down again" >&2; exit 1; fi

# a clone that has none of Docker's containers but a stack's state ran without Docker
credentials: ## The logins and API keys of the stack, with Docker or without
	@if [ -z "$$($(COMPOSE) ps --all --quiet 2> /dev/null)" ] && [ -x .venv/bin/deposit ] && [ -e "$${DEPOSIT_STATE_DIR:-.deposit}" ]; then \
	  .venv/bin/deposit credentials; \
	else $(MAKE) --no-print-directory ours && $(COMPOSE) run --rm --no-deps -T credentials; fi

test: check test-servers coverage test-chaos test-page test-dags test-e2e test-aws ## Every test (check, DAGs, the whole stack); 2 cores, 35 minutes

check: lint types test-fast ## Lint, types and the tests that start no servers

test-fast: setup
	$(RUN) pytest --numprocesses $(WORKERS) --dist loadfile --cov --cov-report= --cov-fail-under=0 -m "not servers and not e2e" --ignore=tests/dags --ignore=tests/compose --ignore=tests/terraform
	$(RUN) pytest --quiet --doctest-modules $$(grep --recursive --files-with-matches --include='*.py' '>>> ' plugins/deposit bento/serving)

test-servers: setup ## Contracts with real servers: PostgreSQL, S3, MLflow, Caddy, supervisor, the service
	$(RUN) pytest --numprocesses $(WORKERS) --dist loadfile --cov --cov-append --cov-report= --cov-fail-under=0 -m servers tests/contract

coverage: setup ## What test-fast and test-servers have covered, branches too; fails below the floor
	$(RUN) coverage report

test-chaos: setup ## Servers stopped and killed, disks filled, under load: nothing that was answered is lost
	$(RUN) pytest tests/chaos --outage-seconds $(OUTAGE_SECONDS) --kills $(KILLS)

test-page: setup chromium ## The page, in a real Chromium
	$(RUN) pytest tests/page

screenshots: setup chromium ## Renew the page's pictures in docs/screenshots
	$(RUN) pytest tests/page -k screenshots --screenshots

chromium:
	@command -v chromium > /dev/null || if [ "$$(id -u)" = 0 ]; then \
	  echo "fetching chromium"; apt-get update --quiet=2 && apt-get install --yes --quiet=2 --no-install-recommends chromium > /dev/null; \
	  else echo "error: chromium is not installed: run apt-get install chromium as root"; exit 1; fi

fuzz: setup ## 10,000 requests made from the service's own OpenAPI document
	$(RUN) pytest tests/contract/test_openapi_fuzz.py --fuzz-cases $(FUZZ_CASES)

bench: setup ## The service and its monitoring beside what most would write, on this machine; 15 minutes
	@command -v wrk > /dev/null || if [ "$$(id -u)" = 0 ]; then apt-get update --quiet=2 && apt-get install --yes --quiet=2 wrk; \
	  else echo "error: wrk is not installed: run apt-get install wrk as root"; exit 1; fi
	$(RUN) python -m benchmarks.run --rounds $(BENCH_ROUNDS) --seconds $(BENCH_SECONDS)
	PYTHONPATH=tests/support $(RUN) python -m benchmarks.monitoring --rounds $(BENCH_ROUNDS) --rows $(BENCH_ROWS)

bench-models: setup ## Every recipe, the refit policy and naive ways on the same months; 3 minutes
	$(RUN) python -m benchmarks.models

bench-score: setup ## Batch scoring beside XGBoost alone, 1 and 10 million rows; 7 minutes
	$(RUN) python -m benchmarks.scoring --rounds $(BENCH_ROUNDS)

bench-capacity: setup ## What a million predictions cost at each station, at 100,000 and 1 million rows; 10 minutes
	@command -v wrk > /dev/null || { echo "error: wrk is not installed: run make bench once, or install it"; exit 1; }
	PYTHONPATH=tests/support $(RUN) python -m benchmarks.capacity

test-dags: setup ## The DAGs, in Airflow's own environment
	PYTHONPATH=plugins:dags .venv-airflow/bin/python -m pytest -c tests/dags/pytest.ini tests/dags

test-e2e: setup ## The whole stack, through its public face
	$(RUN) pytest -m e2e tests/e2e

# where no registry of providers can be reached: a folder that holds registry.terraform.io
export TERRAFORM_PLUGINS ?=

test-aws: setup ## terraform/ on a simulated AWS: apply, read back, policies, checkov, destroy; needs Terraform 1.11
	@if command -v terraform > /dev/null; then $(RUN) pytest tests/terraform; \
	  else echo "test-aws is skipped: terraform is not installed, so nothing of terraform/ is tested"; fi

images: ## Build the images of the stack with Docker
	$(COMPOSE) build --quiet

test-compose: setup ## The stack with Docker, unmodified: releases, kills, down and up again; needs an engine
	$(RUN) pytest tests/compose -m "not celery and not aws" --compose "$(COMPOSE)" --log-cli-level INFO

test-celery: setup ## Airflow with several workers, one killed and one joining late; needs an engine, 5 minutes, not in `make test`
	$(RUN) pytest tests/compose -m celery --compose "$(COMPOSE)" --log-cli-level INFO

test-compose-aws: setup ## The stack with Docker in front of a simulated S3, Secrets Manager and RDS; needs an engine on Linux, not in `make test`
	$(RUN) pytest tests/compose -m aws --compose "$(COMPOSE)" --log-cli-level INFO

lint-docker: setup ## Dockerfile and compose files
	$(RUN) hadolint docker/Dockerfile
	docker compose --profile '*' config --quiet
	docker compose -f docker-compose.yml -f docker-compose.seaweedfs.yml --profile '*' config --quiet
	docker compose --env-file .env.aws.example -f docker-compose.yml -f docker-compose.aws.yml --profile '*' config --quiet

lint-workflows: .tools/bin/uv ## Workflows of GitHub: what is unsafe in them and, where Go is at hand, their form
	@if command -v go > /dev/null; then \
	  GOBIN="$$(pwd -P)/.tools/bin" go install github.com/rhysd/actionlint/cmd/actionlint@v$(ACTIONLINT_VERSION) && \
	  .tools/bin/actionlint -shellcheck= -pyflakes=; \
	  else echo "Go is not at hand, so the form of the workflows is not checked (actionlint)"; fi
	$(UV) tool run --quiet zizmor==$(ZIZMOR_VERSION) --offline --quiet .github/workflows

lint: setup ## Style, and the direction of imports
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) lint-imports --no-cache

types: setup ## Types, strictly; those of the DAGs by Airflow's environment
	$(RUN) mypy
	MYPYPATH=dags $(RUN) mypy --python-executable .venv-airflow/bin/python --follow-imports silent \
	  --cache-dir .mypy_cache/airflow dags plugins/deposit_plugin.py

format: setup ## Put the code into the house's form
	$(RUN) ruff format
	$(RUN) ruff check --fix

hooks: setup ## Run `make check` before every commit
	$(RUN) pre-commit install

clean: stop ## Remove the stack's data and both environments
	rm -rf .deposit .venv .venv-airflow .tools

.tools/bin/uv:
	@python="$$(command -v "$(PYTHON)" || command -v python3 || command -v "python$(PYTHON)")" || { \
	  echo "error: there is no python3: install Python 3.11 to 3.13, or name one with PYTHON=" >&2; exit 1; }; \
	echo "fetching uv $(UV_VERSION)"; "$$python" -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.synced: uv.lock pyproject.toml | .tools/bin/uv
	$(call environment,models$(comma) service$(comma) stack; 1.5 GB)

.venv-airflow/.synced: uv.lock pyproject.toml | .tools/bin/uv
	$(call environment,Airflow; 0.8 GB,--only-group airflow)

ifneq ($(MOVED),)
$(addsuffix /.synced,$(MOVED)): moved
endif

# a stack of the one Python whose parts start again with the other would be of both
halted:
	@$(interpreter); if .venv/bin/python -c "" 2> /dev/null; then .venv/bin/deposit down; fi

ifneq ($(OTHER),)
$(addsuffix /.synced,$(OTHER)): halted
endif
