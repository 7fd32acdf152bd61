# Every target installs what it needs into .venv and nothing elsewhere.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DB ?= sqlite
E2E ?= all
PARALLEL := -n 2 --dist worksteal

.PHONY: help demo test e2e compatibility faults soak lint bench bench-peers docs audit hashes wheel clean

help:
	@echo "make demo [DB=postgres]  run the example manifest on a real DBOS worker"
	@echo "make test                lint, type-check and run all tests"
	@echo "make e2e [E2E=latest]    workers of all SDKs, old and new, and PostgreSQL 14 to 18 (minutes)"
	@echo "make compatibility       the same, and write docs/reference/compatibility.* again"
	@echo "make faults              cut, kill and run many applies at once (minutes)"
	@echo "make soak                applies and workers for minutes: memory, connections, latency"
	@echo "make bench               measure (minutes; nothing else should run)"
	@echo "make bench-peers         compare with graphile-worker (if npm is installed) and PgQueuer"
	@echo "make docs                generate the reference pages again"
	@echo "make audit               check the pinned dependencies for known vulnerabilities"
	@echo "make hashes              write ci/requirements.txt again, after constraints.txt or pyproject.toml"
	@echo "make wheel               build the wheel into dist/"

$(VENV)/.demo: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "Python 3.10 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[demo]'
	touch $@

$(VENV)/.dev: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py --db $(DB)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest $(PARALLEL) $(PYTEST_ARGS)

e2e: $(VENV)/.dev
	DBOS_MANIFEST_E2E=$(E2E) $(BIN)/python -m pytest -q $(PARALLEL) tests/e2e/sdks

compatibility: $(VENV)/.dev
	rm -f docs/reference/compatibility.json
	DBOS_MANIFEST_E2E=all UPDATE_GOLDEN=1 $(BIN)/python -m pytest -q tests/e2e/sdks
	$(BIN)/python docs/generate.py

faults: $(VENV)/.dev
	DBOS_MANIFEST_FAULTS=1 HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -q tests/faults tests/cli/test_work_budget.py

soak: $(VENV)/.dev
	$(BIN)/python benchmarks/soak.py

bench: $(VENV)/.dev
	$(BIN)/python benchmarks/expand.py
	$(BIN)/python benchmarks/frontend.py
	$(BIN)/python benchmarks/enqueue.py 1000
	$(BIN)/python benchmarks/enqueue.py 10000
	$(BIN)/python benchmarks/enqueue.py 100000
	$(BIN)/python benchmarks/enqueue.py 1000000
	$(BIN)/python benchmarks/enqueue.py 100000 3 sqlite
	$(BIN)/python benchmarks/status.py

bench-peers: $(VENV)/.dev
	$(PYTHON) -m venv $(VENV)/peers
	$(VENV)/peers/bin/python -m pip install --quiet --disable-pip-version-check asyncpg pgqueuer
	! command -v npm || npm install --silent --no-fund --no-audit --prefix $(VENV)/peers graphile-worker
	$(BIN)/python benchmarks/peers.py

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py

audit: $(VENV)/.dev
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)/audit/bin/pip-audit --no-deps --disable-pip --requirement constraints.txt

# the action installs these; the header and the order are the same on every machine
hashes:
	$(PYTHON) -m venv $(VENV)/hashes
	$(VENV)/hashes/bin/python -m pip install --quiet --disable-pip-version-check uv
	echo '# The versions of constraints.txt with their hashes, for ci/install.sh. Written by `make hashes`.' > ci/requirements.txt
	echo hatchling | $(VENV)/hashes/bin/uv pip compile --quiet --universal --python-version 3.10 --generate-hashes \
		--no-header --no-annotate --constraint constraints.txt pyproject.toml - >> ci/requirements.txt

wheel: $(VENV)/.dev
	$(BIN)/python -m build --wheel --outdir dist .

clean:
	rm -rf $(VENV) build dist
