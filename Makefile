# FashionSim. `make help` lists what there is.

PYTHON ?= python3
DEMO_PORT ?= 8000
BIN := .venv/bin
MANAGE := $(BIN)/python manage.py
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help

.PHONY: help
help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 16

.venv/bin/python:
	$(PYTHON) -m venv .venv

# torch first and pinned, so that nothing else chooses its build.
.venv/.base: requirements/base.txt | .venv/bin/python
	$(PIP) "$$(grep '^torch==' requirements/base.txt)"
	$(PIP) -r requirements/base.txt
	@touch $@

# GroundingDINO without its own requirements (see requirements/groundingdino.txt).
.venv/.setup: .venv/.base requirements/ml.txt requirements/groundingdino.txt requirements/dev.txt requirements/engines.txt requirements/s3.txt requirements/services.txt requirements/supabase.txt
	$(PIP) -r requirements/ml.txt -r requirements/engines.txt -r requirements/dev.txt -r requirements/s3.txt -r requirements/supabase.txt
	$(PIP) --no-deps -r requirements/groundingdino.txt
	@if pkg-config --exists mysqlclient || pkg-config --exists libmariadb || pkg-config --exists mariadb; then \
		$(PIP) -r requirements/services.txt; \
	else \
		echo "No MySQL headers (default-libmysqlclient-dev, pkg-config): its driver and tests are left out."; \
	fi
	@touch $@

.PHONY: setup
setup: .venv/.setup  ## Install everything for development into .venv

.PHONY: demo
demo: .venv/.base  ## Set up and serve a demonstration shop (DEMO_PORT, default 8000)
	@exec $(MANAGE) demo --port $(DEMO_PORT)

.PHONY: test
test: setup  ## Run the whole suite
	$(BIN)/python -m pytest -n 2

.PHONY: test-fast
test-fast: setup  ## Run the suite without its slow tests
	$(BIN)/python -m pytest -n 2 -m "not slow and not browser and not servers"

.PHONY: lint
lint: setup  ## Check style, types, import rules and migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MANAGE) makemigrations --check --dry-run

.PHONY: format
format: setup  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: messages
messages: setup  ## Bring the translators' catalogues up to date with the source, and compile them (needs gettext)
	$(MANAGE) makemessages --all --no-obsolete --add-location file --ignore tests --ignore docs --ignore var --ignore templates/admin
	$(MANAGE) compilemessages --ignore .venv

.PHONY: screenshots
screenshots: setup  ## Take the pictures in docs/screenshots anew
	$(BIN)/python -m tests.screenshots

.PHONY: benchmark
benchmark: setup  ## Print figures of speed and memory
	$(BIN)/python -m tests.benchmark

.PHONY: benchmark-scale
benchmark-scale: setup  ## Fill shops of up to a million garments and measure them (an hour)
	$(BIN)/python -m tests.benchmark_scale --json scale.json

.PHONY: clean
clean:  ## Delete the environment (never the data)
	rm -rf .venv
