# What a clone needs: Python 3.10 to 3.12 (newer with a redis-server on PATH), make, and a package index.
#   make demo ARGS="--for 60 --summary demo.json"
#   make test ARGS="-k demo"
#   make soak
#   make bench ARGS="--quick --json bench.json"
#   make check | clean
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

.PHONY: demo test soak bench check clean
.DELETE_ON_ERROR:

demo: $(INSTALLED)
	@$(BIN)/python -m tasks.demo $(ARGS)

# The summary of pytest is the last thing printed.
test: check
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TIERS) $(ARGS)

# What takes minutes: 200 rounds of random workflows, 300,000 chords.
soak: $(INSTALLED)
	@$(BIN)/python -m pytest -m soak tests/acceptance/recording $(ARGS)

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
