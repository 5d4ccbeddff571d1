# make demo   environment, build, reconstruct the sample scene, say where the report is
# make test   environment, lint, types, layers, tests
# make lint   formatting, lint, types and layers alone
# make bench  speed and quality figures on the sample scene
# make emulation  the GPU's kernels for the CPU, for tests
# make test-gpu   on a GPU machine: build the kernels for it, test and measure them with the Python and torch that are there
# make clean  everything that the above made

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
SCENE ?= scenes/courtyard
DEMO_OUT ?= runs/demo
BENCH_OUT ?= runs/bench

SOURCES := $(shell find cuda -name '*.cpp' -o -name '*.cu' -o -name '*.h' -o -name 'CMakeLists.txt')
EMULATED := build/emulation/libsparse3d_cuda_emulated.so

.PHONY: demo test lint format bench emulation test-gpu clean
.DELETE_ON_ERROR:

# torch comes first and on its own: asked for by another package's open range, pip takes a CUDA build of several gigabytes.
$(VENV)/.environment: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet "$(TORCH)"
	$(BIN)/pip install --quiet scikit-build-core cmake ninja
	touch $@

# Editable: Python edits need no new build, C++ edits do.
$(VENV)/.installed: $(VENV)/.environment $(SOURCES)
	$(BIN)/pip install --quiet --no-build-isolation --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed
	$(BIN)/sparse3d reconstruct $(SCENE)/images --out $(DEMO_OUT) \
	  --images $$($(BIN)/python -c "import json; print(*json.load(open('$(SCENE)/split.json'))['sparse6']['train'])")
	$(BIN)/sparse3d evaluate $(DEMO_OUT) --truth $(SCENE)/cameras.json
	@echo
	@echo "The report:  $(abspath $(DEMO_OUT))/report.html"
	@echo "The viewer:  $(BIN)/sparse3d view $(DEMO_OUT)"

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $$(find cuda -name '*.cpp' -o -name '*.cu' -o -name '*.h')
	$(BIN)/pyright
	PYTHONPATH=.:viewer $(BIN)/lint-imports

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $$(find cuda -name '*.cpp' -o -name '*.cu' -o -name '*.h')

test: lint emulation
	$(BIN)/pytest

emulation: $(EMULATED)

$(EMULATED): $(VENV)/.environment $(SOURCES)
	$(BIN)/cmake -S cuda/emulation -B build/emulation -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN))/ninja >/dev/null
	$(BIN)/cmake --build build/emulation
	touch $@

test-gpu:
	tests/gpu/run $(PYTHON)

bench: $(VENV)/.installed
	$(BIN)/sparse3d bench public --data scenes --scenes courtyard --out $(BENCH_OUT) --quick
	$(BIN)/python benchmarks/rasteriser.py
	@echo
	@echo "The page:  $(abspath $(BENCH_OUT))/index.html"

clean:
	rm -rf $(VENV) build runs score-out .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
