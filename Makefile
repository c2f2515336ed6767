# The few commands a person types. `make help` explains them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DOCS := .venv-docs

.DEFAULT_GOAL := help
.PHONY: help install demo ui kills chaos bench test test-kills test-browser test-cluster screenshots lint docs reference lock clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(VENV)/.installed  ## make .venv with everything pinned in requirements-dev.lock

# The pip that comes with Python 3.11 takes sqlalchemy[asyncio] for unpinned where the lock pins plain sqlalchemy (fixed
# in pip 23.3), so the environment gets a newer one first.
$(VENV)/.installed: requirements-pip.lock requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.11 ...") if not (3, 11) <= sys.version_info[:2] <= (3, 13) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-pip.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.installed-cluster: $(VENV)/.installed requirements-cluster.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-cluster.lock
	@touch $@

$(VENV)/.installed-browser: $(VENV)/.installed requirements-browser.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-browser.lock
	@touch $@

$(DOCS)/.installed: requirements-pip.lock requirements-docs.lock
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-pip.lock
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-docs.lock
	@touch $@

demo: install  ## renew tokens and rotate them in a sandbox Tableau on a real local Airflow, and look that it is so
	$(BIN)/python -m sandbox demo

ui: install  ## leave Airflow and the sandbox up, with a few runs on its page; OPEN=1 opens it in your browser
	$(BIN)/python -m sandbox ui $(if $(OPEN),--open) $(if $(EMPTY),--empty)

kills: install  ## kill tasks in the middle of 20 runs, and see that nothing is lost (half an hour)
	$(BIN)/python -m sandbox kills --rounds 20 --seed 7

chaos: install  ## 300 generated sequences of runs, kills and cleared tasks, then 30 runs with all faults (an hour)
	$(BIN)/python -m pytest tests/credential_rotation/sequences --hypothesis-profile chaos
	$(BIN)/python -m sandbox chaos --rounds 30 --seed 7

bench: install  ## how fast the rotation is, side by side with scripts (half an hour); writes docs/benchmark.*
	$(BIN)/python -m sandbox bench

test: install  ## the whole default test suite
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-kills: install  ## a task is killed in the middle of a run on a real scheduler
	$(BIN)/python -m pytest -m kills tests/scheduler

test-browser: $(VENV)/.installed-browser  ## the page in the Airflow UI, in this machine's Chromium (CHROMIUM: where it is)
	$(BIN)/python -m pytest -m browser tests/browser

screenshots: $(VENV)/.installed-browser  ## what that page looks like, into docs/ui-*.png
	$(BIN)/python -m pytest -m browser tests/browser/test_screenshots.py --screenshots docs

test-cluster: $(VENV)/.installed-cluster  ## the topology of docker-compose.yaml on this machine's PostgreSQL and Redis
	$(BIN)/python -m pytest -m cluster tests/cluster

lint: install  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(DOCS)/.installed  ## the pages in docs/ as a site, into site/; a link that leads nowhere fails
	$(DOCS)/bin/zensical build --clean --strict

reference: install  ## write docs/reference.md out of the code
	PYTHONPATH=plugins $(BIN)/python -m sandbox reference

# Older pips take celery[redis]==… for no pin of celery[redis] where the extra is stripped; and elsewhere need it stripped.
lock:  ## pin the newest versions that fit, with hashes (needs uv)
	uv pip compile $(LOCK_FLAGS) --no-strip-extras --upgrade requirements-cluster.txt -o requirements-cluster.lock
	uv pip compile $(LOCK_FLAGS) requirements-dev.txt -c requirements-cluster.lock -o requirements-dev.lock
	uv pip compile $(LOCK_FLAGS) requirements-browser.txt -c requirements-cluster.lock -o requirements-browser.lock
	uv pip compile $(LOCK_FLAGS) requirements.txt -c requirements-cluster.lock -o requirements.lock
	uv pip compile $(LOCK_FLAGS) --upgrade requirements-docs.txt -o requirements-docs.lock
	echo pip | uv pip compile $(LOCK_FLAGS) --upgrade - -o requirements-pip.lock

LOCK_FLAGS := --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
              --custom-compile-command 'make lock'

clean:  ## remove .venv, the local Airflow and every cache
	rm -rf $(VENV) $(DOCS) site .airflow .airflow-* .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
