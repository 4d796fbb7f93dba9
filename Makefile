# The front door. `make run` shows the main job; `make test` proves it. Everything sets up what it needs.

PYTHON ?= python3
UV := .tools/bin/uv
BIN := .venv/bin
export UV_PROJECT_ENVIRONMENT := .venv
export UV_LINK_MODE := copy

.PHONY: help setup run test lowest soak fuzz check bench format clean live-packages docs

help:
	@echo "make run     the main job, live, on a log that is being written; needs the network the first time"
	@echo "make test    every test, real Postfix and Dovecot included (root, Debian packages)"
	@echo "make lowest  some of the tests, with the oldest libraries that pyproject.toml allows"
	@echo "make soak    faults by chance for an hour (SOAK=3600), and a report; root, gcc"
	@echo "make fuzz    what hypothesis tests, on far more examples for ten minutes (FUZZ=600, TESTS=tests/wire)"
	@echo "make check   format, lint, types, layers, the docs' examples"
	@echo "make bench   the measurements, as ratios: writes docs/benchmarks.md; QUICK=1 for a short run"
	@echo "make setup   only the set-up of the above: uv, .venv, the packages for the live tests"

setup: .venv/.ready live-packages

# uv, from the machine if it is there, else into .tools by pip
$(UV):
	@if command -v uv >/dev/null; then mkdir -p $(@D) && ln -sf "$$(command -v uv)" $@; \
	else PIP_ROOT_USER_ACTION=ignore $(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade --target .tools uv; fi
	@test -x $@ || { echo "uv could not be set up: install it, or python3-pip, and run make again" >&2; exit 1; }

.venv/.ready: uv.lock pyproject.toml | $(UV)
	@echo "setting up .venv, this once" >&2
	@$(UV) sync --quiet --frozen --compile-bytecode
	@$(BIN)/python -m compileall -q src
	@touch $@

live-packages: .venv/.ready
	@$(BIN)/python tests/live/packages.py

run: .venv/.ready
	@$(BIN)/python demo/run.py

# The faults by themselves, for they judge by the second; most others wait more than they work.
test: setup
	@$(BIN)/pytest -q -n 3 --dist loadgroup --ignore tests/faults
	@$(BIN)/pytest -q -n 2 --dist loadgroup tests/faults

# Where each of the libraries is put to use. What the lock has is the newest; who installs by pip may have older ones.
lowest: .venv/.ready
	@$(UV) venv --quiet --clear .cache/lowest
	@$(UV) pip install --quiet --python .cache/lowest --resolution lowest-direct --editable .
	@$(UV) pip install --quiet --python .cache/lowest --group dev
	@.cache/lowest/bin/pytest -q -n 3 --dist loadgroup -m "not live and not hypothesis" $(addprefix tests/,cli config \
	daemon/logs daemon/metrics daemon/test_daemon.py ledger maps scan services sources wire)

soak: setup
	@$(BIN)/python tests/faults/soak.py $(SEED)

# Rounds of new examples until the time is over; the last one is finished. EXAMPLES: how many each claim gets in a round.
FUZZ ?= 600
TESTS ?= tests
fuzz: setup
	@end=$$(( $$(date +%s) + $(FUZZ) )); until test $$(date +%s) -ge $$end; do \
	EXAMPLES="$(EXAMPLES)" $(BIN)/pytest -q -m hypothesis --hypothesis-profile=fuzz $(TESTS) || exit 1; done

check: .venv/.ready
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff . ; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest -q -p no:cacheprovider --doctest-modules src

docs: .venv/.ready
	@for file in manpages samples serverdocs; do $(BIN)/python packaging/$$file.py || exit 1; done

format: .venv/.ready
	@$(BIN)/ruff check --quiet --fix-only . ; $(BIN)/ruff format --quiet .

bench: setup
	@QUICK="$(QUICK)" $(BIN)/python benchmarks/run.py $(if $(RESUME),--resume) $(TOPICS)

clean:
	rm -rf .venv .tools .live .cache dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
