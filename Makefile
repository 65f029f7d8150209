# Two commands do everything, on a machine that has Python 3.11 or newer and make:
#
#   make demo    trains on the digits that ship with scikit-learn and shows the result
#   make test    runs every check: lint, format, types, import order, tests
#
# make docs builds the documentation, make benchmarks measures.
#
# Each makes .venv and installs into it what it needs, once.

PYTHON ?= python3
PIP := .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test docs benchmarks clean

demo: .venv/installed
	.venv/bin/gammatune train digits

test: .venv/installed-dev
	scripts/check

# The documentation, into build/docs; needs no network once it is installed.
docs: .venv/installed-docs
	.venv/bin/python -m sphinx -W -n -q -b html docs/site build/docs
	@echo "build/docs/index.html"

# The measurements of benchmarks/ (minutes, on an otherwise idle machine).
benchmarks: .venv/installed-bench
	.venv/bin/python benchmarks/overhead.py
	.venv/bin/python benchmarks/suggestion.py
	.venv/bin/python benchmarks/ranks.py
	.venv/bin/python benchmarks/stacked.py

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "gammatune needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/python pyproject.toml constraints.txt
	@echo "Installing gammatune and what it needs (torch is large) ..."
	$(PIP) -e ".[tables,files,images,report]"
	@touch $@

.venv/installed-docs: .venv/installed
	$(PIP) -e ".[docs]"
	@touch $@

.venv/installed-dev: .venv/installed
	$(PIP) -e '.[dev]'
	$(PIP) --no-deps --upgrade --target .venv/timm timm torchvision # tests/models/timm_beside.py says why there
	@touch $@

.venv/installed-bench: .venv/installed-dev
	$(PIP) -e '.[bench]'
	@touch $@

clean:
	rm -rf .venv build *.egg-info src/*.egg-info
