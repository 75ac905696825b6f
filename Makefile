.PHONY: help setup demo test check docs fuzz
SECONDS ?= 60

help: ## show this
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: ## make .venv with Frumious and the tools for tests
	scripts/setup test

demo: ## mirror a handful of real projects and install from the mirror
	scripts/demo

test: ## set up and run all tests and checks
	scripts/test

check: ## only the static checks
	scripts/setup test
	.venv/bin/python -m pytest tests/test_checks.py

fuzz: ## look for inputs that a reader does not stand: TARGET=one of them (default: all), SECONDS=60 for each
	scripts/setup test
	.venv/bin/python -m pip install -q --group fuzz
	.venv/bin/python -m fuzz $(TARGET) --seconds $(SECONDS)

docs: ## build the documentation into site/
	scripts/setup test
	.venv/bin/python -m mkdocs build --strict
