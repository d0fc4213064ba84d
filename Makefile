# make help says what there is. The first line of each target checks what it needs.
.DEFAULT_GOAL := help
.PHONY: help setup demo test unit secured lint type bench neural audit docs
BIN := .venv/bin
# Tests of whole clusters mostly wait, so more of them than processors run side by side. A marker beside
# a test says whether it runs alone, or takes long and starts first.
SIDE_BY_SIDE := --dist loadgroup --no-loadscope-reorder
export PYTHON

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## lay .venv with everything (demo and test do it by themselves)
	@.ci/check python memory=500
	@.ci/setup live,demo,bench,test

demo: ## stream a real catalog, bind a word, kill a worker; needs Python 3.11 alone
	@.ci/check python memory=1500
	@.ci/setup live,demo
	@$(BIN)/kae demo run

test: ## check format, lint, types and imports, then run every test on Apache Kafka
	@.ci/chromium
	@.ci/check python memory=3000 java maven chromium
	@.ci/setup live,demo,bench,test
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache --no-logo
	@$(BIN)/python -m pytest -n 3 $(SIDE_BY_SIDE) -m 'not alone'
	@$(BIN)/python -m pytest -m alone

unit: ## run the quick tests: those that need neither Java nor a browser, nor take long
	@.ci/check python memory=2000
	@.ci/setup live,demo,bench,test
	@JAVA_HOME=/nowhere $(BIN)/python -m pytest -n logical $(SIDE_BY_SIDE) \
	  -m 'not kafka and not browser and not alone and not long'

secured: ## run the end-to-end tests once more, behind TLS, users and ACLs that deny by default
	@.ci/check python memory=3000 java maven
	@.ci/setup live,demo,bench,test
	@KAE_TESTS_KAFKA=secured $(BIN)/python -m pytest tests/live

lint: ## format, then lint files and imports
	@.ci/check python memory=500
	@.ci/setup live,demo,bench,test
	@$(BIN)/ruff format
	@$(BIN)/ruff check
	@$(BIN)/lint-imports --no-cache --no-logo

type: ## check types
	@.ci/check python memory=1000
	@.ci/setup live,demo,bench,test
	@$(BIN)/mypy

bench: ## measure the live path against a bare Faust agent, on Apache Kafka
	@.ci/check python memory=3000 java maven
	@.ci/setup live,demo,bench,test
	@$(BIN)/kae bench live --json

neural: ## test that tagger and retriever learn, and that a model decodes live identifiers (installs torch, several GB, for this alone)
	@.ci/check python memory=3000
	@.ci/setup live,demo,bench,test,neural
	@$(BIN)/python -m pytest tests/neural

audit: ## list what kae consists of, under which licences, and its known vulnerabilities
	@.ci/check python memory=500
	@.ci/audit

docs: ## build the documentation into build/site; a warning is an error
	@.ci/check python memory=500
	@.ci/setup live,demo,bench,test,docs
	@$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --fresh-env -d build/doctrees docs build/site
	@echo "build/site/index.html"
