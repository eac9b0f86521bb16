# A thin front. All logic is in kimi_mini/dev.py; without make: python -m kimi_mini.dev book | test | test-quick | edition
PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11 python,$(shell command -v $(p))))

.PHONY: help book test test-quick edition clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

book: ## install what is missing, run the chapters, build the book, say where to open it
	@$(PYTHON) -m kimi_mini.dev book

test: ## every test: unit and parity, notebooks, the book in a browser
	@$(PYTHON) -m kimi_mini.dev test

test-quick: ## the tests of under three minutes
	@$(PYTHON) -m kimi_mini.dev test-quick

edition: ## make edition TAG=...: freeze book, wheel, weights and labs into dist/edition-TAG
	@$(PYTHON) -m kimi_mini.dev edition --tag "$(TAG)"

clean: ## remove what was built (the environment stays)
	rm -rf _build
