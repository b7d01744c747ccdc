# What one can do here. `make` alone lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find rust_core -name '*.rs' -o -name '*.toml') Cargo.toml Cargo.lock pyproject.toml
SINK_JAR := python/marketprep/local/marketprep-s3-sink.jar
MINIO := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/marketprep/minio/minio
MINIO_VERSION := v0.0.0-20260212201848-7aac2a2c5b7c

# How long a soak lasts, and what else it is told: see tests/soak.py --help.
MINUTES ?= 20
SOAK ?=

# How it is measured: see benches/table.py --help.
BENCH ?=

AARCH64 := aarch64-linux-gnu
FOR_AARCH64 := CC_aarch64_unknown_linux_gnu=$(AARCH64)-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$(AARCH64)-gcc \
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64 -L /usr/$(AARCH64)'

.DEFAULT_GOAL := help
.PHONY: help develop run local connect-plugin minio test test-rust test-connect test-python soak bench peers lint audit format wheel aarch64 clean

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

local: develop $(SINK_JAR) ## The whole way on this machine, to objects in S3 through Kafka Connect
	@$(BIN)/python -m marketprep local

connect-plugin: $(SINK_JAR) ## Build the S3 sink for Kafka Connect into connect/target/plugins

$(SINK_JAR): $(shell find connect/src connect/pom.xml) $(if $(wildcard connect/target/plugins),,not-built)
	@command -v mvn >/dev/null || { echo 'Maven and a JDK 17 or later are needed: https://maven.apache.org'; exit 1; }
	@echo 'Building and testing the S3 sink: some seconds'
	@cd connect && mvn --quiet --batch-mode -Dstyle.color=never package
	@cp connect/target/plugins/marketprep-s3-sink/marketprep-s3-sink-*.jar $@

.PHONY: not-built
not-built:

minio: $(MINIO) ## Build MinIO into the cache, where `make local` and the tests find it

$(MINIO):
	@command -v go >/dev/null || { echo 'Go 1.24 or later is needed: https://go.dev'; exit 1; }
	@echo 'Building MinIO: two to ten minutes'
	@CGO_ENABLED=0 GOBIN=$(dir $@) go install -trimpath -ldflags '-s -w' github.com/minio/minio@$(MINIO_VERSION)

test: test-rust test-connect test-python ## Pass all tests

test-connect: ## The S3 sink's own, which its build runs; without Maven, tests that need it are skipped
	@if command -v mvn >/dev/null; then $(MAKE) --no-print-directory connect-plugin; \
	else echo 'No Maven: the S3 sink is not built, and tests that need it are skipped'; fi

test-rust:
	cargo test --release --quiet

# The slow ones have three brokers each, and leave no room for others beside them.
test-python: develop
	$(BIN)/python -m pytest -m 'not slow' --numprocesses=2 --dist=worksteal --benchmark-disable
	$(BIN)/python -m pytest -m slow --benchmark-disable

soak: develop ## Put load and faults on the service for MINUTES=20, and account for every record
	$(BIN)/python tests/soak.py --minutes $(MINUTES) --rate half $(SOAK)

bench: develop peers ## Measure beside others that do the same work; BENCH=--quick takes five minutes
	PYTHONPATH=tests $(BIN)/python benches/table.py $(BENCH)

peers: ## Build and check what the benches measure against: two to five minutes the first time
	cd benches/peers && cargo fmt --check && cargo clippy --all-targets --quiet -- -D warnings
	cd benches/peers && cargo clippy --all-targets --features ordinary --quiet -- -D warnings
	cd benches/peers && cargo test --release --quiet && cargo build --release --quiet
	cd benches/peers && RUSTFLAGS='' cargo build --release --quiet --features ordinary --target-dir ../../target/peers/ordinary

lint: develop ## Check format, lints, types and stubs
	cargo fmt --check
	cargo clippy --all-targets --all-features --quiet -- -D warnings
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest marketprep._core
	@if command -v mvn >/dev/null; then cd connect && mvn --quiet --batch-mode -Dstyle.color=never spotless:check; fi

audit: develop ## Look for bad licences and known faults in dependencies; tells what it cannot look at
	@$(BIN)/python -m pip install --quiet --group audit
	@$(BIN)/python .ci/audit.py

format: develop ## Put the sources into their standard form
	cargo fmt
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	@if command -v mvn >/dev/null; then cd connect && mvn --quiet --batch-mode -Dstyle.color=never spotless:apply; fi

wheel: $(VENV)/.tools test-connect ## Build a wheel and a source distribution into dist
	$(BIN)/maturin build --release --out dist
	$(BIN)/maturin sdist --out dist

# The C library of such machines lies where Debian's cross compiler has it; qemu-user runs the tests.
aarch64: $(VENV)/.tools ## Build a wheel for aarch64 from elsewhere, and pass the Rust tests as one under qemu
	@command -v $(AARCH64)-gcc >/dev/null || { echo 'A cross compiler is needed: apt install gcc-$(AARCH64)'; exit 1; }
	@command -v qemu-aarch64 >/dev/null || { echo 'qemu-aarch64 is needed: apt install qemu-user'; exit 1; }
	rustup target add aarch64-unknown-linux-gnu
	$(FOR_AARCH64) cargo test --release --quiet --target aarch64-unknown-linux-gnu
	$(FOR_AARCH64) $(BIN)/maturin build --release --target aarch64-unknown-linux-gnu --out dist

clean: ## Remove everything that was built
	rm -rf target dist simulated connect/target $(VENV) python/marketprep/_core*.so $(SINK_JAR)
