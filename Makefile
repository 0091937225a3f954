# `make demo` and `make test` do all the set-up they need. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
CORES := $(shell nproc 2>/dev/null || echo 2)
# Most tests wait, for a server, a commit or a state: so many workers keep every core busy.
WORKERS ?= $(shell expr 2 \* $(CORES) + 1)
# A run starts several hundred interpreters; where byte code may not be kept, each compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

.venv/.ready: locks/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Set PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "python3-venv is missing: apt-get install python3-venv"; exit 1; }
	@echo "setting up .venv from locks/dev.txt (about a minute, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r locks/dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

CHECKS := check-format check-lint check-types check-imports check-words check-trace

.PHONY: setup demo test check $(CHECKS) test-slow-disk faults attacks broken-in-turn soak bench instructions rtm look lock bundle deb wheel release clean help

setup: .venv/.ready ## create .venv from the hash-locked lock file

demo: .venv/.ready ## run the bundled line through the gateway into a batch record (ARGS="--serve" etc.)
	@$(BIN)/ebr-gateway demo $(ARGS)

# A whole suite writes what each test did, for the traceability matrix; one that ARGS narrows does not.
RESULTS = $(if $(ARGS),,--results=build/results/$@.json)

# The long runs keep each test as it ends: RESUME=1 runs what has not passed yet with these very files. What ARGS narrows keeps nothing of its own.
KEEP = $(if $(RESUME)$(if $(ARGS),,whole),--keep=build/results/$@.kept.jsonl $(if $(RESUME),--resume))

BESIDE = $(MAKE) --no-print-directory check
# The checks run beside the tests; what they say stands below, and each of the two makes the run fail.
test: .venv/.ready ## checks and the whole default test suite
	@$(BESIDE) >.venv/check.log 2>&1 & checks=$$!; \
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not faults and not soak" $(RESULTS) $(ARGS); tests=$$?; \
	wait $$checks; checks=$$?; cat .venv/check.log; \
	test $$checks -eq 0 && echo "checks passed" || echo "CHECKS FAILED"; \
	exit $$((tests | checks))

check: .venv/.ready ## ruff, mypy, import-linter, codespell, traceability
	@$(MAKE) --no-print-directory --keep-going --output-sync=target --jobs=$(CORES) $(CHECKS)

check-format:
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }

check-lint:
	@$(BIN)/ruff check --quiet .

check-types:
	@$(BIN)/mypy

check-imports:
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

check-words:
	@$(BIN)/codespell

check-trace:
	@told=$$($(BIN)/ebr-gateway rtm check) || { echo "$$told"; exit 1; }

test-slow-disk: .venv/.ready ## the default tests on a disk whose every flush takes 20 ms (SLOW_DISK_MS), needs a C compiler
	@$(CC) -shared -fPIC -O1 -o .venv/slow_disk.so tests/kit/slow_disk.c -ldl
	@LD_PRELOAD=$(CURDIR)/.venv/slow_disk.so $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not faults and not soak" $(ARGS)

faults: .venv/.ready ## the long fault suites, and each fault of docs/fault-bar.md with its figures (RESUME=1 goes on where a run ended)
	@mkdir -p build/results
	@HYPOTHESIS_PROFILE=long EBR_AWAITS_TO=$(or $(EBR_AWAITS_TO),build/results/awaits.csv) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "(faults or survival) and not soak" --bar F --timeout 3600 $(RESULTS) $(KEEP) $(ARGS)

attacks: .venv/.ready ## each attack of docs/fault-bar.md, with its figures (RESUME=1 as well)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "attack and not soak" --bar S --timeout 3600 $(RESULTS) $(KEEP) $(ARGS)

broken-in-turn: .venv/.ready ## twelve sources, each broken in three ways while the others run (part of `make faults`; EBR_LOOK=FOLDER: a picture of each)
	@$(BIN)/python -m pytest -n 0 tests/line/test_each_broken_in_turn_faults.py -m faults -s --timeout 3600 $(ARGS)

soak: .venv/.ready ## long runs: many seeds of the whole line
	@$(BIN)/python -m pytest -m soak -s --timeout 7200 $(ARGS)

bench: .venv/.ready ## print the tables of benchmarks/
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

rtm: .venv/.ready ## write the traceability that the next release carries, from the results of `make test` and `make faults`
	@$(BIN)/python tools/rtm.py

look: .venv/.ready ## draw the page in eighteen states at panel and phone, light and dark, into TO (needs chromium)
	@$(BIN)/python tools/look.py $(or $(TO),/tmp/ebr-gateway-look) $(ARGS)

instructions: .venv/.ready ## count the instructions of a reading at each stop of its way (half a minute, needs valgrind); fails if one takes more than before
	@$(BIN)/python benchmarks/instructions.py $(ARGS)

lock: ## resolve the dependencies anew into locks/ (needs .venv)
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 pyproject.toml -o locks/run.txt >/dev/null
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 --extra dev --extra fast pyproject.toml -o locks/dev.txt >/dev/null
	@$(BIN)/uv pip compile --quiet --generate-hashes --no-header --no-annotate --python-version 3.11 --extra postgres --extra mysql --extra mssql --extra oracle pyproject.toml -o locks/databases.txt >/dev/null

bundle: .venv/.ready ## one file for a USB stick: program, libraries, installer (PYTHONS="3.11 3.12" for more than this one)
	@$(BIN)/python tools/bundle.py tar $(foreach each,$(PYTHONS),--python $(each))

deb: .venv/.ready ## the same as a Debian package
	@$(BIN)/python tools/bundle.py deb $(foreach each,$(PYTHONS),--python $(each))

wheel: .venv/.ready ## build the wheel into dist/
	@$(BIN)/python -m hatchling build -t wheel

release: .venv/.ready ## test, build, sign with KEY=FILE and tag VERSION=x.y.z here; nothing is pushed
	@$(BIN)/python tools/release.py check "$(VERSION)" "$(KEY)"
	@$(MAKE) --no-print-directory test ARGS=
	@$(BIN)/python tools/release.py make "$(VERSION)" "$(KEY)"

clean: ## remove everything that make made, but the record of test runs (build/results/runs)
	@test ! -d build || find build -mindepth 1 -maxdepth 1 ! -name results -exec rm -rf {} +
	@test ! -d build/results || find build/results -mindepth 1 -maxdepth 1 ! -name runs -exec rm -rf {} +
	rm -rf .venv dist demo-run .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .benchmarks

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
