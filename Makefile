# Every target sets up what it needs, in .venv and the user's cache, and needs nothing done before. There are more WORKERS
# than cores usually are, as many tests wait most of the time.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WHEEL := $(VENV)/.wheel
SOURCES := $(shell find singleton_jobs $(wildcard integrations) -name '*.py' -o -name 'py.typed') pyproject.toml README.md LICENSE
FROM ?=
WORKERS ?= 4
TOOL := PYTHONPATH=tests $(BIN)/python -P -m

# Where bytecode is not kept, every worker of every run would compile all tests anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test check matrix bench simulate chaos mutants controlplane cluster clean

demo: $(WHEEL)
	$(BIN)/singleton-jobs demo

test: $(WHEEL) $(VENV)/.test
	$(BIN)/pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: $(WHEEL) $(VENV)/.test $(VENV)/.check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/basedpyright --level error tests/typing
	$(BIN)/lint-imports
	$(BIN)/twine check --strict dist/*
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict --site-dir $(VENV)/site

# The wheel with the lowest and the newest versions of what it needs: make matrix, or ARGS=--all
matrix: $(WHEEL) $(VENV)/.test $(VENV)/.check
	$(TOOL) package $(ARGS)

bench: $(WHEEL) $(VENV)/.test
	PYTHONPATH=tests $(BIN)/python benchmarks $(ARGS)

# The real code on virtual time: make simulate MINUTES=30, or SEED=1 RUNS=100, or ARGS="--replay 7"
simulate: $(WHEEL) $(VENV)/.test
	$(TOOL) simulation $(if $(MINUTES),--minutes $(MINUTES)) $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

# Real processes on a real API server: make chaos MINUTES=20, or PEER=client-go, or PEER=python
chaos: $(WHEEL) $(VENV)/.test
	$(TOOL) chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(PEER),--peer $(PEER)) $(if $(SEED),--seed $(SEED)) $(ARGS)

mutants: $(WHEEL) $(VENV)/.test
	$(TOOL) mutants $(ARGS)

controlplane: $(VENV)/.test
	$(BIN)/python tests/controlplane/binary.py $(if $(FROM),--from $(FROM))

# A real API server to try things against, until interrupted; it prints what to export.
cluster: $(WHEEL) $(VENV)/.test
	@$(TOOL) controlplane

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The built wheel is what is installed, tested and measured: never the checkout.
$(WHEEL): $(VENV)/.tools $(SOURCES)
	rm -rf dist
	$(BIN)/python -m build --quiet
	$(BIN)/pip install --quiet --force-reinstall --no-deps dist/*.whl
	$(BIN)/pip install --quiet dist/*.whl
	touch $@

$(VENV)/.tools:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip build
	touch $@

# Together with the wheel, or pip would pick versions that its requirements do not allow.
$(VENV)/.test $(VENV)/.check: pyproject.toml | $(WHEEL)
	$(BIN)/pip install --quiet dist/*.whl --group test $(if $(findstring check,$@),--group check)
	touch $@
