# make certify   environment, radius functions, digits job, report        (under ten minutes on two cores)
# make test      lint, types, import contracts, regenerated code, tests
# make lint      lint, types and import contracts alone
# make clean     removes caches;  make distclean removes the environment and the runs as well

PYTHON ?= python3
WORKERS ?= 2
RUN ?= runs/digits
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: certify test lint clean distclean
.DELETE_ON_ERROR:

# An existing environment is completed, not replaced; the stamp is older than the files that describe it only
# when one of them changed.
$(STAMP): setup.cfg pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

certify: $(STAMP)
	$(BIN)/python -m derive regenerate --check
	$(BIN)/python -m runtime certify --job digits --out $(RUN)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check . generated/special/*.py
	$(BIN)/mypy
	$(BIN)/lint-imports

# One thread a worker: two test processes that each start a thread per core only get in each other's way.
test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m derive regenerate --check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find derive generated runtime tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) runs
