# Everything a developer runs. `make` alone lists the targets.

PYTHON ?= python3
SDK_VERSION := 1.39.13
GRAPH_VERSION := 1.65.0
IDENTITY_VERSION := 1.27.0

BIN := .venv/bin
SDK_BIN := .venv-sdk/bin
JUDGE_BIN := .venv-judge/bin
JUDGE := .venv-judge/$(GRAPH_VERSION)-$(IDENTITY_VERSION)

.DEFAULT_GOAL := help
.PHONY: help demo serve test bench docs picture dist dist-test validate image-test judge clean
.DELETE_ON_ERROR:

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-20s %s\n", $$1, $$2 }'

demo: .venv/installed ## Run real commands against a simulated tenant and show the war room
	@$(BIN)/warroom demo

serve: .venv/installed ## Serve the simulated tenant to any client of Microsoft's, until Ctrl-C
	@$(BIN)/warroom serve

test: .venv/installed ## Run the linter, the type checker, the figures and every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy
	$(BIN)/python -m tools.shape
	$(BIN)/pytest -q -n auto

bench: .venv/installed ## Measure commands, fetches, and the waits of commands that run at once; takes minutes
	$(BIN)/python -m tools.bench

docs: .venv/installed ## Renew the reference and the README's table of commands
	$(BIN)/python -m tools.docs

picture: .venv/installed ## Renew the pictures of the war room and of the playbook
	$(BIN)/python -m tools.picture
	$(BIN)/python -m tools.workplan

dist: .venv/installed ## Build the unified file and the pack
	$(BIN)/python -m tools.package

dist-test: dist ## Run the tests with the code of the unified file
	$(BIN)/pytest -q -n auto -p tools.shipped

validate: .venv/installed .venv-sdk/$(SDK_VERSION) ## Run the vendor's validators and pylint plugins
	$(BIN)/python -m tools.validate $(SDK_BIN)

image-test: .venv/installed ## Run the tests with the package versions of the XSOAR image
	$(BIN)/python -m tools.image

judge: $(JUDGE) ## Let Microsoft's own clients use the simulated tenant, and compare
	@$(JUDGE_BIN)/python -m tools.judge

clean: ## Remove environments and builds
	rm -rf .venv .venv-* dist build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . \( -name __pycache__ -o -name .ruff_cache \) -prune -exec rm -rf {} +

.venv/installed: pyproject.toml tools/version.py pack/pack_metadata.json
	@$(PYTHON) tools/preflight.py
	@echo "Making the environment in .venv, once; it takes about a minute."
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python tools/install.py --editable '.[dev]'
	@touch $@

# The vendor's SDK is large and pins old packages, so it has an environment of its own.
.venv-sdk/$(SDK_VERSION):
	@$(PYTHON) tools/preflight.py
	@echo "Making the environment of the vendor's SDK in .venv-sdk, once; it takes some minutes."
	@$(PYTHON) -m venv --clear .venv-sdk
	@$(SDK_BIN)/python tools/install.py 'demisto-sdk==$(SDK_VERSION)'
	@touch $@

# Microsoft's clients are large, and need nothing of the project's but what Azure is played with.
$(JUDGE):
	@$(PYTHON) tools/preflight.py
	@echo "Making the environment of Microsoft's clients in .venv-judge, once; it takes a minute."
	@$(PYTHON) -m venv --clear .venv-judge
	@$(JUDGE_BIN)/python tools/install.py 'msgraph-sdk==$(GRAPH_VERSION)' 'azure-identity==$(IDENTITY_VERSION)'
	@touch $@
