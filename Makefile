# What one can do here. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find rust_core -name '*.rs' -o -name '*.toml') Cargo.toml Cargo.lock pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help develop run test test-rust test-python bench lint format wheel clean

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

develop: $(VENV)/.built ## Set up .venv with a release build of the package

$(VENV)/.tools: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=…")'
	@command -v cargo >/dev/null || { echo 'A Rust toolchain (cargo) is needed: https://rustup.rs'; exit 1; }
	@echo 'Setting up $(VENV): some seconds'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --group dev
	@touch $@

# A debug library left behind would be loaded before the release build and run ten times slower.
$(VENV)/.built: $(VENV)/.tools $(SOURCES)
	@echo 'Building the Rust core: one or two minutes the first time'
	@rm -f python/marketprep/_core*.so
	@PIP_QUIET=1 VIRTUAL_ENV=$(abspath $(VENV)) $(BIN)/maturin develop --release --quiet
	@touch $@

run: develop ## Run the service; without a cluster, on a local Kafka with a simulated market
	@$(BIN)/python -m marketprep run

test: test-rust test-python ## Pass all tests

test-rust:
	cargo test --release --quiet

test-python: develop
	$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal --benchmark-disable

bench: develop ## Measure, against the best exact Python in the same run
	$(BIN)/python -m pytest benches --benchmark-columns=median,stddev --benchmark-max-time=0.3
	$(BIN)/python -m marketprep simulate files --megabytes 6 simulated/bench
	$(BIN)/python benches/compare.py simulated/bench/*.jsonl

lint: develop ## Check format, lints, types and stubs
	cargo fmt --check
	cargo clippy --all-targets --all-features --quiet -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest marketprep._core

format: develop ## Put the sources into their standard form
	cargo fmt
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.tools ## Build a wheel and a source distribution into dist
	$(BIN)/maturin build --release --out dist
	$(BIN)/maturin sdist --out dist

clean: ## Remove everything that was built
	rm -rf target dist simulated $(VENV) python/marketprep/_core*.so
