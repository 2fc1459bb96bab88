# Every target makes its own .venv on the first run; a stamp makes later runs start at once.
#   make demo       fit the embedded data set, plan a budget, write everything to demo-run/
#   make test       all quick tests and a rotating part of the slow ones
#   make check      lint, format, types, import order, sizes (what CI runs before the tests)
#   make bench      the benchmarks; results go to benchmarks/results/
#   make notebooks  run the notebooks whole (CI runs them shrunk, as tests)

BIN := .venv/bin
RUN := .venv/.installed-run
DEV := .venv/.installed-dev
WORKERS ?= 2
export MPLBACKEND ?= Agg

.PHONY: demo test check bench notebooks clean
.DELETE_ON_ERROR:

demo: $(RUN)
	$(BIN)/mmmjax demo --out demo-run

test: $(DEV)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --slow=rotate

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/python .ci/limits.py

bench: $(DEV)
	for file in benchmarks/[a-z]*.py; do \
	  case $$file in */common.py) ;; *) $(BIN)/python $$file || exit 1 ;; esac; \
	done

notebooks: $(DEV)
	for file in notebooks/*.py; do $(BIN)/python $$file || exit 1; done

clean:
	rm -rf .venv .cache .pytest_cache .ruff_cache .import_linter_cache demo-run

# python3.12 when it runs, else python3 when it is new enough
$(BIN)/python:
	@new='import sys; sys.exit(sys.version_info < (3, 12))'; \
	for python in python3.12 python3; do \
	  if $$python -c "$$new" 2>/dev/null; then exec $$python -m venv .venv; fi; \
	done; \
	echo "mmmjax needs Python 3.12 or newer as python3.12 or python3;" \
	  "found: $$(python3 --version 2>&1 | head -n 1)." \
	  "Install one, then run make again." >&2; exit 1

# --no-compile: modules that are never imported need no bytecode; a third of the time
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check

$(RUN): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e . -c constraints.txt
	@touch $@

$(DEV): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[dev]' -c constraints.txt
	@touch $(RUN) $@
