# `make demo` shows the whole way on a sample city; `make test` passes the tests; `make help` lists the rest.
PYTHON ?= python3
PORT ?= 8080
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv

.PHONY: help demo up status report test check faults lock clean setup setup-dev bench

help:            ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Xuanwu needs Python 3.11 or newer; this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/uv.txt

$(VENV)/.runtime: $(UV) requirements/runtime.txt setup.cfg
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/runtime.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(UV) requirements/dev.txt setup.cfg
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

setup: $(VENV)/.runtime          ## the environment that runs Xuanwu
setup-dev: $(VENV)/.dev          ## the environment that develops and tests it

demo: setup      ## two days of the sample city through Airflow, and what came of it
	@$(BIN)/python -m sample.demo demo

up: setup        ## Airflow's UI on what the demo made, at PORT (8080); Ctrl-C stops it
	@$(BIN)/python -m sample.demo up --port $(PORT)

.demo/demo.env:
	@echo "There is no demo yet: make demo" >&2; exit 1

status: setup .demo/demo.env    ## the demo's lake as a table
	@. ./.demo/demo.env && $(BIN)/xuanwu status

report: setup .demo/demo.env    ## the demo's quality report, written again
	@. ./.demo/demo.env && $(BIN)/xuanwu report

bench: setup     ## the way beside its peers, measured: ROWS=200000 REPEAT=1 ONLY=way
	@$(BIN)/python -m benchmarks.run --rows $(or $(ROWS),200000) --repeat $(or $(REPEAT),1) --only "$(ONLY)"

faults: setup-dev ## kill every stage at its system calls, run it again and compare: KILLS=72 SEED=0 WRITE=
	@$(BIN)/python -m tests.faults --kills $(or $(KILLS),72) --seed $(or $(SEED),0) $(if $(WRITE),--write)

test: setup-dev  ## set up and pass the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: setup-dev ## ruff, mypy, import-linter, the catalogue
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/xuanwu check

lock: $(UV)      ## pin the requirements again, with hashes
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/runtime.in -o requirements/runtime.txt
	$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements/dev.in -o requirements/dev.txt

clean:           ## remove the environment and every state of the demo
	rm -rf $(VENV) .xuanwu .demo
