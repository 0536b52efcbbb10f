# Start here: `make help`.
PYTHON ?= python3
VENV   ?= .venv
JOBS   ?= 2
BIN    := $(VENV)/bin
PIP    := $(BIN)/pip install --disable-pip-version-check --no-input --progress-bar off -q

.DEFAULT_GOAL := help
.PHONY: help demo test check lint pins-check system clean clean-all

help:
	@echo 'make demo         set up what running needs, then a town of 200,000 homes through the stream,'
	@echo '                  and its page until Ctrl-C (without: make demo ARGS=--once;'
	@echo '                  twenty real homes: make demo ARGS=--real)'
	@echo 'make test         set up everything (R and Redis by apt where it may), then all checks'
	@echo '                  (JOBS=0: tests in one process, one after the other)'
	@echo 'make check        the quick inner loop: lint, types, tests that are not slow'
	@echo 'make pins-check   does $(VENV) hold just what requirements.txt pins?'
	@echo 'make clean        remove caches; make clean-all removes $(VENV) too'
	@echo 'make PYTHON=python3.12 ...   use another Python, 3.11 or later'

demo: $(VENV)/.run
	@$(BIN)/wattstorm demo $(ARGS)

test: system $(VENV)/.all
	$(BIN)/python requirements/pins.py requirements.txt
	$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n $(JOBS) $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check -q .
	$(BIN)/mypy
	$(BIN)/pytest -x -q -m "not slow" $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

pins-check: $(VENV)/.all
	@$(BIN)/python requirements/pins.py requirements.txt

# ---- setting up; each stamp says what the environment holds, and is older than what it was made from

system:
	@requirements/system.sh '$(PYTHON)' test

$(VENV)/.made:
	@requirements/system.sh '$(PYTHON)' run
	@echo 'making $(VENV)'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: requirements/run.txt requirements/worker.txt pyproject.toml | $(VENV)/.made
	@echo 'installing what running needs (half a minute)'
	@$(PIP) -r requirements/run.txt
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	@echo 'installing what checking needs'
	@$(PIP) -r requirements/run.txt -r requirements/dev.txt
	@touch $@

# rpy2 without a compiler: it finds the functions of R when it is loaded
$(VENV)/.all: requirements.txt $(VENV)/.dev
	@requirements/system.sh '$(PYTHON)' test
	@echo 'installing the rest: rpy2, pygam'
	@RPY2_CFFI_MODE=ABI $(PIP) -r requirements.txt
	@touch $@

clean:
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build *.egg-info
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

clean-all: clean
	rm -rf $(VENV)
