.PHONY: help setup demo test check docs

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

docs: ## build the documentation into site/
	scripts/setup test
	.venv/bin/python -m mkdocs build --strict
