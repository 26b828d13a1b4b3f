# `make demo` and `make test` do all the set-up they need. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FUZZ_SECONDS ?= 600
ORACLE_PROGRAMS ?= 100000
PACKAGES := proto chaincode peers network aggregator client scripts

.PHONY: help setup programs softhsm demo test check fuzz fuzzbridge contracts bench evm-oracle accuracy format lock generate clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(READY)  ## make the virtual environment from the hashed locks

$(READY): requirements/build.txt requirements/all.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else f"Python {v[0]}.{v[1]} found; Consilium needs 3.11 to 3.13: make PYTHON=python3.12 …")'
	@echo "Setting up $(VENV) (about 6 GB with torch; a minute or two the first time)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/build.txt
	$(BIN)/uv pip sync --python $(BIN)/python --require-hashes requirements/build.txt requirements/all.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

programs: $(READY)  ## find or build Fabric's programs
	$(BIN)/consilium network programs

softhsm:  ## find or install SoftHSM, the PKCS#11 token of the tests
	@if command -v softhsm2-util >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing softhsm2, the PKCS#11 token of the tests"; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get update -qq && apt-get install -qq --no-install-recommends softhsm2 >/dev/null; \
	else \
		echo "The tests of keys in tokens need SoftHSM: sudo apt-get install softhsm2 (Fedora: softhsm)"; exit 1; \
	fi

demo: programs  ## four hospitals train one model on a real Fabric network
	$(BIN)/python -m consilium_demo $(DEMO)

test: check programs softhsm  ## every test, those on the real network too
	$(BIN)/python -m pytest $(PYTEST)

check: $(READY)  ## style, types, import rules, generated modules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/lint-imports
	$(BIN)/python scripts/generate_protocol.py --check

fuzz: $(READY)  ## feed the verifier of trails with hostile bytes for ten minutes (FUZZ_SECONDS=600)
	mkdir -p build/fuzz
	cd build/fuzz && $(CURDIR)/$(BIN)/python $(CURDIR)/scripts/fuzz_trail.py $(CURDIR)/tests/peers/trail/format-1 --seconds $(FUZZ_SECONDS)

fuzzbridge: $(READY)  ## feed the bridge's contract with forged proofs and altered proposals (FUZZ_SECONDS=600 each)
	CONSILIUM_FUZZ_SECONDS=$(FUZZ_SECONDS) CONSILIUM_FUZZ_SEED=$$(date +%s)000000 \
		$(BIN)/python -m pytest tests/contracts/test_bridge_parser.py -k "mutation or alike"

contracts:  ## compile and lint the Solidity contracts (needs Node.js 20 or newer)
	cd chaincode/contracts && npm ci && npm run lint && npm run compile

bench: programs  ## what encryption, verification, the ledger and the EVM cost, beside NVIDIA FLARE and py-evm
	$(BIN)/python -m consilium_bench --with-nvflare --with-py-evm --with-ledger --out build/bench $(BENCH)

evm-oracle: $(READY)  ## a hundred thousand random programs on the EVM and on Ethereum's executable specification
	$(BIN)/python -m consilium_bench.evm_oracle --programs $(ORACLE_PROGRAMS)

accuracy: programs  ## accuracy over five seeds, with and without privacy
	$(BIN)/python -m consilium_demo.accuracy --out build/bench

format: $(READY)  ## rewrite the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(READY)  ## resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" requirements/build.in -o requirements/build.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --no-emit-index-url --custom-compile-command "make lock" pyproject.toml -o requirements/all.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" requirements/nvflare.in -o requirements/nvflare.txt
	$(BIN)/uv pip compile --quiet --universal --no-deps --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" requirements/fabric-sdk-py.in -o requirements/fabric-sdk-py.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" requirements/ethereum-execution.in -o requirements/ethereum-execution.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" requirements/py-evm.in -o requirements/py-evm.txt

generate: $(READY)  ## regenerate the protocol buffers' modules
	$(BIN)/python scripts/generate_protocol.py

clean:  ## remove what the targets above made
	rm -rf build $(VENV) chaincode/contracts/node_modules .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
