# What a clone needs: Python 3.10 to 3.12 (newer with a redis-server on PATH), make, and a package index.
#   make demo ARGS="--for 60 --summary demo.json"
#   make test ARGS="-k demo"
#   make test-faults ARGS="-k worker"
#   make soak
#   make bench ARGS="--quick --json bench.json"
#   make screenshots
#   make check | docs | clean
# PYTHON chooses the interpreter: make demo PYTHON=python3.12
PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The longest first: files are dealt out to two processes in this order.
TIERS := $(wildcard $(addprefix tests/,acceptance integration contract fundamentals unit))

define REQUIREMENTS
import shutil, sys
have = "Python %d.%d" % sys.version_info[:2]
if sys.version_info < (3, 10):
    sys.exit(have + " is too old: chordwatch needs 3.10 or newer; choose one with make PYTHON=python3.12")
if sys.version_info >= (3, 13) and shutil.which("redis-server") is None:
    sys.exit(have + " has no embedded Redis: install redis-server, or choose 3.10 to 3.12 with make PYTHON=python3.12")
endef
export REQUIREMENTS

.PHONY: demo test test-faults soak bench check docs screenshots clean
.DELETE_ON_ERROR:

demo: $(INSTALLED)
	@$(BIN)/python -m tasks.demo $(ARGS)

# The summary of pytest is the last thing printed.
test: check
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TIERS) $(ARGS)

# Every cause that can be brought about for real, with instrumented processes and without; other brokers, backends and
# pools; the doctor, alerts, traces and dashboards end to end.
test-faults: $(INSTALLED)
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m faults tests $(ARGS)

# What takes minutes or wants the machine for itself: 200 random workflows, 300,000 chords, 2,000,000 keys.
soak: $(INSTALLED)
	@$(BIN)/python -m pytest -m soak tests/acceptance $(ARGS)

# What chordwatch costs, beside its peers in the same run: ten minutes, with --quick two.
bench: $(VENV)/.bench
	@$(BIN)/python -m benchmarks $(ARGS)

$(VENV)/.bench: $(INSTALLED)
	@$(BIN)/python -m pip install --quiet --group bench
	@touch $@

check: $(INSTALLED)
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# What is made from the code: a test says when it is not.
docs: $(INSTALLED)
	@$(BIN)/python -m chordwatch.diagnosis.pages docs/causes.md
	@$(BIN)/python -m chordwatch.metrics.pages docs/metrics.md
	@$(BIN)/python -m chordwatch.metrics.alerts alerts/chords.rules.yml

# The dashboard's pages as a real browser shows them: all in var/screenshots, those of the documentation in docs/images.
screenshots: $(INSTALLED)
	@$(BIN)/python -m pytest -m faults tests/acceptance/dashboard/test_pictures.py
	@$(BIN)/python -m tests.support.pictures

# Rebuilt from nothing when a dependency may have changed, so that what is tested is what is declared.
$(INSTALLED): pyproject.toml
	@$(PYTHON) -c "$$REQUIREMENTS"
	@echo "Making the virtual environment in $(VENV); this downloads about 250 MB once."
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable ".[demo]" --group dev
	@touch $@

clean:
	rm -rf $(VENV) var build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
