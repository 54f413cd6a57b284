# SPDX-License-Identifier: Apache-2.0
# README.md and HACKING.md say what these are for.
SHELL := /bin/bash
.DEFAULT_GOAL := help
RUN := .venv/bin/python

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## everything on this machine: simulated LAN, box, broker, dealer's portal (ARGS=--help)
	@tools/setup demo
	@exec $(RUN) -m demo $(ARGS)

.PHONY: setup
setup: ## .venv/bin/platen and what it needs
	@tools/setup run

.PHONY: test
test: ## every test, on this machine's Python and on Debian 13's at the same time
	@tools/setup test
	@tools/debian13 true
	@$(MAKE) --no-print-directory --jobs=2 test-here test-debian13

.PHONY: test-here
test-here: ## every test on this machine's Python (ARGS="-k name")
	@tools/setup test
	$(RUN) -m pytest -n 3 --dist loadfile $(ARGS)

.PHONY: test-debian13
test-debian13: ## every test on the Python of the image
	@tools/setup test
	tools/debian13 python3 -m pytest -n 3 --dist loadfile -p no:cacheprovider $(ARGS)

.PHONY: image
image: ## build/image: a card and its update bundle (ARCH=arm64; ARGS=--help)
	@tools/setup test
	@tools/image build --architecture $(or $(ARCH),arm64) $(ARGS)

.PHONY: test-image
test-image: ## build, boot, update, cut off and attack the image, in QEMU (ARGS="-k name")
	@tools/setup test
	PLATEN_MODULE=pytest tools/image -n 0 -p no:cacheprovider -m image tests/image
	tools/docker run $(RUN) -m pytest -s -m "system and not long" $(ARGS) tests/system

.PHONY: test-image-long
test-image-long: ## the same for hours: every kind of bad update, seeded power cuts, half an hour of writes counted
	@tools/setup test
	tools/docker run $(RUN) -m pytest -s -m long $(ARGS) tests/system

.PHONY: fuzz
fuzz: ## ten million mutated inputs against every parser (EXECUTIONS=n)
	@tools/setup test
	$(RUN) -m tests.fuzz --executions $(or $(EXECUTIONS),10000000)

.PHONY: contract
contract: ## write contract/ anew from the messages
	@tools/setup test
	$(RUN) -m contract.generate

.PHONY: bench
bench: ## poll, sweep and store beside a peer
	@tools/setup test
	@for b in poll sweep store; do .venv/bin/platen bench $$b; done

.PHONY: clean
clean: ## remove what was built here
	rm -rf .venv .tools build .pytest_cache .mypy_cache .ruff_cache .hypothesis
