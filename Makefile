# Two commands do everything, set-up included: `make demo` and `make test`.

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PROJECT ?= examples/helpdesk
READY := $(VENV)/.ready

.PHONY: demo test dev lint bench install clean

install: $(READY)

# torch first and pinned: pip finds its CPU build where there is one, and what comes later is
# content with it. unstructured's PDF reader wants packages whose own requirements would replace
# that build by one with CUDA, so these come without their requirements (docs/architecture.md).
$(READY): pyproject.toml requirements-nodeps.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --editable '.[test,lint,examples]'
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements-nodeps.txt
	touch $(READY)

demo: $(READY)
	$(BIN)/stillhouse teachers fetch --project $(PROJECT)
	$(BIN)/stillhouse run --project $(PROJECT)

dev: $(READY)
	$(BIN)/stillhouse dev --project $(PROJECT)

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

bench: $(READY)
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python benchmarks/near_duplicates.py --documents 200000
	$(BIN)/python benchmarks/distillation_loss.py
ifdef BANKING77
	$(BIN)/python benchmarks/distillation_quality.py --banking77 $(BANKING77)
endif
ifdef SNIPS
	$(BIN)/python benchmarks/labelling.py --snips $(SNIPS)
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/generation.py --snips $(SNIPS)
endif

clean:
	rm -rf $(VENV) examples/*/var .mypy_cache .ruff_cache .pytest_cache
