# Works on a fresh machine with make and Python >= 3.11; everything is installed into .venv/.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed
OFFLINE := PYTHONPATH=tests/support/offline $(BIN)/molweave
BBBP := src/molweave/data/bundled/bbbp.csv.gz
MODEL := demo/bbbp-model

# Torch comes first, so that nothing asks pip for another build of it. It and RDKit, whose version decides canonical SMILES and
# conformers, keep their versions until someone edits the lock.
HELD := $(shell grep -E '^(torch|rdkit)==' requirements.lock)

# $(call install,folder,options of pip)
define install
@$(PYTHON) -c 'import sys; sys.exit("molweave needs Python >= 3.11, found " + sys.version.split()[0] + ": try make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
$(PYTHON) -m venv $(1)
$(1)/bin/pip install -qq --disable-pip-version-check --no-input $(2) $(HELD) hatchling editables
$(1)/bin/pip install -qq --disable-pip-version-check --no-input $(2) --no-build-isolation --editable '.[dev,bench]'
endef

.PHONY: help venv demo test test-all coverage check format bench lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: $(READY) ## create .venv with the exact versions of requirements.lock

$(READY): pyproject.toml requirements.lock
	@echo "Installing molweave and its pinned dependencies into .venv/ (a minute or two)"
	$(call install,.venv,--constraint requirements.lock)
	@touch $@

demo: $(READY) ## fit a model on the real BBBP data, predict new molecules, write a report
	@echo "Every command runs with the network refused (tests/support/offline)."
	@echo "1/3  Fitting DMMRL on BBBP (does a molecule cross the blood-brain barrier?), scaffold split"
	$(OFFLINE) fit $(BBBP) --target p_np --method dmmrl --split scaffold --out $(MODEL) --overwrite
	@echo "2/3  Predicting the molecules of examples/new_molecules.csv"
	$(OFFLINE) predict $(MODEL) examples/new_molecules.csv --out demo/predictions.csv --overwrite
	@echo "3/3  Copying the report"
	cp $(MODEL)/report.html demo/report.html
	@echo
	@cat demo/predictions.csv
	@echo
	@echo "model        $(MODEL)/"
	@echo "predictions  demo/predictions.csv"
	@echo "report       demo/report.html (open it in a browser)"

test: $(READY) ## run the fast tests
	$(BIN)/pytest

test-all: $(READY) ## run every test, the slow ones too
	$(BIN)/pytest -m "slow or not slow"

coverage: $(READY) ## run every test and require 90 % of the lines
	$(BIN)/pytest -m "slow or not slow" --cov --cov-report=term

check: $(READY) ## format, lint, types, direction of imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## rewrite the files as `make check` wants them
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## measure the speed of the parts
	$(BIN)/pytest benchmarks -m "slow or not slow" --benchmark-only

lock: ## remake requirements.lock: the newest versions that pyproject.toml admits; torch and rdkit as pinned
	rm -rf build/lock
	$(call install,build/lock,)
	@{ sed -n '/^#/p' requirements.lock; \
	  build/lock/bin/pip freeze --exclude-editable | sed 's/+cpu$$//'; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock
	rm -rf build/lock

clean: ## remove .venv/, demo/ and every cache of the tools
	rm -rf .venv demo build dist htmlcov .coverage coverage.xml
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .benchmarks .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
