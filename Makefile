# Every target sets up all it needs: Python 3.11 or newer and make are enough. The second time it is instant.
#
#   PYTHON=python3.12             the Python to make .venv with (default: the first one found that is new enough)
#   TORCH_INDEX=URL               one more package index to take torch from, for example
#                                 https://download.pytorch.org/whl/cpu for a small CPU build on Linux

TORCH := torch==2.13.0
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS := $(VENV)/.docs-ready
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
CANDIDATES := $(PYTHON) python3 python3.11 python3.12 python3.13 python3.14 python

.DEFAULT_GOAL := help
.PHONY: help demo serve test slow lint types docs docs-serve clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: $(READY)  ## enrol people, talk about pictures; the result is in demo/
	$(BIN)/plvm demo --out demo

serve: $(READY)  ## serve the model: a page in your browser, and the API
	$(BIN)/plvm serve --open

test: $(READY)  ## run the tests
	$(BIN)/python -m pytest -n auto --dist loadfile

slow: $(READY)  ## run the slow tests
	$(BIN)/python -m pytest -m slow -n auto --dist loadfile || [ $$? -eq 5 ]  # 5: there are none

lint: $(READY)  ## check the style
	$(BIN)/ruff check .

types: $(READY)  ## check the types
	$(BIN)/mypy

docs: $(DOCS)  ## build the documentation site into build/site
	$(MKDOCS) build --strict --quiet
	$(BIN)/python docs/check_site.py build/site

docs-serve: $(DOCS)  ## serve the documentation site at http://127.0.0.1:8000
	$(MKDOCS) serve

clean:  ## remove what make made, .venv too; build/ with its trainings stays
	rm -rf $(VENV) demo dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch goes first and by its exact version, so that nothing else chooses another build of it.
$(READY): pyproject.toml constraints.txt
	@for python in $(CANDIDATES); do \
	  if $$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "Python 3.11 or newer (with its venv module) is needed; name it: make PYTHON=/path/to/python" >&2; exit 2; fi; \
	if [ ! -x $(BIN)/python ]; then echo "Making $(VENV) with $$found ..."; $$found -m venv $(VENV); fi
	@echo "Installing into $(VENV); this takes a few minutes the first time ..."
	$(PIP) install $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(TORCH)
	$(PIP) install -c constraints.txt -e '.[dev]'
	@touch $@

$(DOCS): $(READY)
	$(PIP) install -c constraints.txt -e '.[docs]'
	@touch $@
