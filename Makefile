# One screen of verbs over nox. Needs Python 3.11 or newer; everything else comes from the package index into .venv.
PYTHON ?= python3
SHELL  := /bin/bash
BIN    := .venv/bin
NOX    := $(BIN)/nox --non-interactive -s
# The machine's own certificates, as pip uses them: behind an inspecting proxy uv's built-in list knows no issuer.
export UV_SYSTEM_CERTS ?= true
UV_PIN  = $(shell sed -n '/^name = "uv"$$/{n;s/version = "\(.*\)"/\1/p;}' uv.lock)

help:  ## list the verbs
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 22

demo: .venv/.synced  ## move rows between two ends on this machine, and show the proof
	@$(BIN)/python -m dpone.testing.demo

test: .venv/.synced  ## lint, types, unit tests, conformance suite, one mock case per strategy and end
	@$(NOX) lint types test "contract(memory)" "contract(memory_publish)" "contract(postgres)"

lint: .venv/.synced  ## ruff, shellcheck, lock, workflows, compose file
	@$(NOX) lint

types: .venv/.synced  ## mypy --strict
	@$(NOX) types

unit: .venv/.synced  ## each package's tests against built wheels, alone (P=core for one)
	@$(NOX) $(if $(P),"unit($(P))",unit)

contract: .venv/.synced  ## the conformance suite for each connector (C=postgres for one)
	@$(NOX) $(if $(C),"contract($(C))",contract)

integration: .venv/.synced  ## tests against the best services here (S=postgres for one)
	@$(NOX) $(if $(S),"integration($(S))",integration)

docs: .venv/.synced  ## build the documentation, strictly
	@$(NOX) docs

build: .venv/.synced  ## wheels and sdists of all packages into dist/
	@$(NOX) build

bench: .venv/.synced  ## measure throughput and start-up
	@$(NOX) bench

certify: .venv/.synced  ## run the certification profile P (mock_contract, mock_local, vendor_live)
	@$(NOX) certify-$(or $(P),mock_contract)

clean:  ## remove everything that was made
	rm -rf .venv .nox .mypy_cache .pytest_cache .ruff_cache .hypothesis dist site

.venv/.synced: uv.lock pyproject.toml VERSION $(wildcard packages/*/pyproject.toml)
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_PIN)
	$(BIN)/uv sync --quiet --all-extras --frozen
	@touch $@

.PHONY: help demo test lint types unit contract integration docs build bench certify clean
