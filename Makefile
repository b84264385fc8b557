# Two commands from a fresh clone, with Python 3.11+, pip and a C compiler:  make demo  and  make test
# Everything is installed into .venv, nothing elsewhere; make test-minimum has a .venv-minimum of its own.

PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin
LOWEST := .venv-minimum/bin
# Two processes share the ordinary tests: each starts with a half of them in order, and takes of the other's when it has done.
FAST := -m "not slow" --numprocesses 2 --dist worksteal
SOURCES := setup.py pyproject.toml $(wildcard build_support/*.py) $(wildcard ext/*)

.PHONY: demo claims dist docs test test-slow test-oracles test-minimum sanitize fuzz-kernels fuzz-readers fuzz-lowering fuzz-quantised mutants bench bench-cuda test-cuda test-gpu lint clean

demo: .venv/.installed.stamp
	@echo "Running LeNet-5-BN with additions and with multiplications bit for bit on 2,000 images (some seconds)"
	$(BIN)/addersim demo --output reports/demo
	@echo "Open reports/demo/index.html. To go on in this shell:"
	@echo "    source .venv/bin/activate"

test: .venv/.test.stamp
	$(BIN)/python -m pytest $(FAST)

test-slow: .venv/.test.stamp
	$(BIN)/python -m pytest -m slow

# The tests that need a framework to run beside: onnxruntime, LiteRT, qonnx, torchao. Without them `make test` skips these.
test-oracles: .venv/.oracles.stamp
	$(BIN)/python -m pytest $(FAST) $(shell grep -rlE "onnxruntime|qonnx|ai_edge_litert|torchao" --include="test_*.py" tests)

# The pages that are made from records and data, and the site, plain files in site/.
docs: .venv/.docs.stamp
	$(BIN)/python docs/pages.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# A source archive and a wheel in dist/. ADDERSIM_URL=https://HOST/OWNER/addersim makes the links of its page absolute.
dist: .venv/.created.stamp
	$(BIN)/python -m pip install -qq build
	$(BIN)/python -m build --quiet

# Published claims, each decided anew: docs/claims.md and reports/claims/ledger.json. Some minutes.
claims: .venv/.test.stamp
	$(BIN)/python reports/claims/run.py

sanitize: .venv/.test.stamp
	$(BIN)/python -m tests.sanitized

fuzz-kernels: .venv/.test.stamp
	$(BIN)/python -m tests.sanitized --fuzz 600

fuzz-readers: .venv/.test.stamp
	$(BIN)/python -m pytest -m slow tests/properties/test_readers.py

fuzz-lowering: .venv/.test.stamp
	$(BIN)/python -m tests.properties.torch_modules 10000
	$(BIN)/python -m tests.properties.onnx_graphs 10000 0

fuzz-quantised: .venv/.oracles.stamp
	$(BIN)/python -m tests.properties.quantised_graphs qdq 5000
	$(BIN)/python -m tests.properties.quantised_graphs qoperator 5000
	$(BIN)/python -m tests.properties.quantised_graphs qonnx 1000
	$(BIN)/python -m tests.properties.tflite_graphs 5000
	$(BIN)/python -m tests.properties.torch_programs 1000
	$(BIN)/python -m tests.properties.torch_modules_quantised ao 1000
	$(BIN)/python -m tests.properties.torch_modules_quantised pt2e 300

mutants: .venv/.test.stamp
	$(BIN)/python -m tests.mutants $(ONLY)

# The versions are those of pyproject.toml, each the lowest that it allows. The extension is built in place, as for make test.
test-minimum: .venv-minimum/.installed.stamp
	$(LOWEST)/python -m pytest $(FAST)

bench: .venv/.test.stamp
	$(BIN)/python -m tests.bench

# Measures on a machine with a GPU; on any other it says so, and claims nothing.
bench-cuda: .venv/.cuda.stamp
	$(BIN)/python -m tests.bench.cuda

# No GPU is needed: NVRTC compiles the CUDA kernels for four architectures, and their machine code is read.
test-cuda: .venv/.cuda.stamp
	$(BIN)/python -m pytest tests/machine_code tests/emulated/test_cuda.py

# On a machine with a GPU: kernels, layers and training there against the CPU's. On any other it skips.
test-gpu: .venv/.cuda.stamp
	TRITON_INTERPRET=0 $(BIN)/python -m pytest tests/agreement/test_gpu.py

lint: .venv/.lint.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint --max-line-length=127 ext/_core.pyx
	$(CC) -std=gnu11 -Wall -Wextra -Werror -Wno-unknown-pragmas -fsyntax-only -Iext $(filter-out ext/_core.c,$(wildcard ext/*.c)) tests/emulated/*.c

.venv/.created.stamp:
	@echo "Making .venv with its own Python and pip (some seconds)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "addersim needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make demo PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -qq --upgrade pip
	@touch $@

.venv/.installed.stamp: .venv/.created.stamp $(SOURCES)
	@echo "Installing addersim into .venv: numpy, pandas, plotly and others are fetched, the kernels compiled (a minute or two)"
	$(BIN)/python -m pip install -qq --editable .
	@touch $@

.venv/.test.stamp: .venv/.installed.stamp
	@echo "Installing what the tests need into .venv, torch among it (minutes, a gigabyte)"
	$(BIN)/python -m pip install -qq $(TORCH)
	$(BIN)/python -m pip install -qq --editable '.[test]'
	@touch $@

.venv/.docs.stamp: .venv/.installed.stamp
	$(BIN)/python -m pip install -qq --editable '.[docs]'
	@touch $@

.venv/.cuda.stamp: .venv/.test.stamp
	$(BIN)/python -m pip install -qq --editable '.[cuda]'
	@touch $@

.venv/.oracles.stamp: .venv/.test.stamp
	@echo "Installing onnxruntime, LiteRT, qonnx and torchao into .venv"
	$(BIN)/python -m pip install -qq --editable '.[test,oracles]'
	@touch $@

.venv/.lint.stamp: .venv/.test.stamp
	$(BIN)/python -m pip install -qq --editable '.[dev]'
	@touch $@

.venv-minimum/.installed.stamp: tests/minimum_versions.py $(SOURCES)
	$(PYTHON) -m venv --clear .venv-minimum
	$(LOWEST)/python -m pip install -qq --upgrade pip
	$(LOWEST)/python tests/minimum_versions.py build run test train > .venv-minimum/lowest.txt
	$(LOWEST)/python -m pip install -qq -r .venv-minimum/lowest.txt
	$(LOWEST)/python -m pip install -qq --no-build-isolation --no-deps --editable .
	@touch $@

clean:
	rm -rf .venv .venv-minimum build dist site addersim.egg-info addersim/_core*.so ext/_core.c
