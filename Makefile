# `make help` lists the targets. `make pipeline` and `make test` set up what they need, in either order.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -qq -c constraints.txt
PEERS := .venv-peers
PEER_PACKAGES := torch torchvision timm segmentation-models-pytorch lightning albumentations opencv-python-headless \
	imagecodecs filelock pandas psutil pyarrow pydantic ruamel.yaml safetensors scikit-image scipy tqdm
# Four at once on 2 cores too, since many tests wait for a server or a kill; in their order: the long ones come first.
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder
IMAGE ?=
DIR ?=
ARGS ?=
FOLDS ?=
RECIPE ?= short

.DEFAULT_GOAL := help
.PHONY: help pipeline flow test test-slow lint check format import folds camvid predict serve up down status ui bench bench-line bench-start bench-data bench-metrics bench-gate bench-models bench-kill bench-peers bench-training bench-scale bench-promotions bench-log bench-tiles clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

pipeline: $(VENV)/.runtime  ## set up, run what has changed (dvc repro), say what came out
	@$(BIN)/python -m pipelines.local

flow: $(VENV)/.runtime  ## the same through Prefect, with a page of the run; ARGS="--parallel 2"
	@$(BIN)/python -m pipelines $(ARGS)

test: $(VENV)/.test  ## set up, run the tests
	@$(TESTS)

test-slow: $(VENV)/.test  ## the tests of minutes: remotes, kills, every network; ARGS="--begin-within 600"
	@$(TESTS) -m slow $(ARGS)

lint: $(VENV)/.test  ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

check: lint test  ## lint, then test

format: $(VENV)/.test  ## format the code and mend what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

import: $(VENV)/.runtime  ## DIR=folder: make these images and masks the data (docs/own-data.md); ARGS="--classes a,b"
	@$(if $(DIR),$(BIN)/maskmill data import "$(DIR)" $(ARGS),echo "error: which folder? make import DIR=path/to/data" >&2; exit 2)

folds: $(VENV)/.runtime  ## FOLDS=5: cross-validate every variant, and score an ensemble (docs/experiments.md)
	@$(BIN)/python -m pipelines.folds $(FOLDS)

camvid: $(VENV)/.runtime  ## DIR=folder RECIPE=short: the line on CamVid, in a clone (experiments/camvid); ARGS="--minutes 9"
	@$(if $(DIR),$(BIN)/python experiments/camvid/run.py "$(DIR)" --recipe "$(RECIPE)" $(ARGS),echo "error: which folder? make camvid DIR=path/to/CamVid RECIPE=short" >&2; exit 2)

predict: $(VENV)/.runtime  ## IMAGE=x.png: mask and overlay by the champion, into predictions/
	@$(if $(IMAGE),$(BIN)/maskmill predict "$(IMAGE)",echo "error: which image? make predict IMAGE=x.png" >&2; exit 2)

serve: $(VENV)/.runtime  ## serve the champion over HTTP, on loopback (docs/serving.md)
	@$(BIN)/maskmill serve

up: $(VENV)/.runtime  ## start MLflow, Prefect and its worker, on this machine alone (docs/servers.md)
	@$(BIN)/maskmill up

down: $(VENV)/.runtime  ## stop them
	@$(BIN)/maskmill down

status: $(VENV)/.runtime  ## say which of them run
	@$(BIN)/maskmill status

ui: $(VENV)/.runtime  ## print the addresses of their pages
	@$(BIN)/maskmill ui

bench: $(VENV)/.runtime  ## measure the training settings on this machine (docs/benchmarks.md)
	@$(BIN)/python benchmarks/training_settings.py

bench-line: $(VENV)/.test  ## measure the main job and its champion, by processor and seed; ARGS="0"
	@PYTHONPATH=. $(BIN)/python benchmarks/line.py $(ARGS)

bench-start: $(VENV)/.test  ## measure how long the stages take to import and to exit
	@$(BIN)/python benchmarks/start.py

bench-data: $(VENV)/.runtime  ## measure reading, packing and versioning of data; ARGS="--data DIR"
	@$(BIN)/python benchmarks/data.py $(ARGS)

bench-gate: $(VENV)/.test  ## measure by simulation what the gate promotes and refuses; ARGS="--sets 400"
	@$(BIN)/python benchmarks/gate.py $(ARGS)

bench-metrics: $(VENV)/.test  ## measure what scores cost, and one prediction under the conventions of other libraries
	@$(BIN)/python benchmarks/metrics.py $(ARGS)
	@$(BIN)/python benchmarks/metric_conventions.py

bench-models: $(VENV)/.runtime  ## measure the networks at full width; ARGS="--compile", ARGS="--device cuda unet"
	@$(BIN)/python benchmarks/models.py $(ARGS)

bench-kill: $(VENV)/.runtime  ## kill trainings 200 times with SIGKILL, hold the weights against undisturbed ones
	@OMP_NUM_THREADS=1 $(BIN)/python benchmarks/kill.py $(ARGS)

bench-scale: $(VENV)/.runtime  ## train on 1,000 to 1,000,000 images, 9 GB in a temporary folder; ARGS="1000 10000"
	@$(BIN)/python benchmarks/scale.py $(ARGS)

bench-promotions: $(VENV)/.test  ## bring two challengers before the gate at once, 1,000 times; ARGS="100"
	@PYTHONPATH=. $(BIN)/python benchmarks/promotions.py $(ARGS)

bench-log: $(VENV)/.runtime  ## measure what a training loses to its log and its checkpoints; ARGS="away save"
	@$(BIN)/python benchmarks/overhead.py $(ARGS)

bench-tiles: $(VENV)/.test  ## measure an image of 20,000 x 20,000 px in tiles; ARGS="6000"
	@$(BIN)/python benchmarks/tiles.py $(ARGS)

bench-peers: $(PEERS)/.installed  ## hold the networks against torchvision, timm and smp: maps first, then time and memory
	@PYTHONPATH=src $(PEERS)/bin/python benchmarks/peers/parity.py
	@PYTHONPATH=src KINETO_LOG_LEVEL=99 $(PEERS)/bin/python benchmarks/models.py --peers $(ARGS)

bench-training: $(PEERS)/.installed  ## hold training against a bare torch loop, and smp with Lightning; ARGS="--data DIR"
	@PYTHONPATH=src $(PEERS)/bin/python benchmarks/peers/training.py $(ARGS)

clean:  ## remove caches of tools; never data, predictions, stores, models or checkpoints
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find src tests pipelines benchmarks experiments -name __pycache__ -prune -exec rm -rf {} +

# A first install that was cut off is started over: .started is there from its beginning to its end. A .venv that was
# there before is used, and never removed.
$(VENV)/.runtime: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else "error: maskmill needs Python 3.11 to 3.13, $(PYTHON) is %d.%d; name another: make PYTHON=python3.11" % v[:2])'
	@if [ -e $(VENV)/.started ]; then rm -rf $(VENV); fi
	@echo "setting up $(VENV): about 2 GB, 2 to 5 minutes the first time"
	@if [ ! -e $(VENV) ]; then mkdir -p $(VENV) && touch $(VENV)/.started; fi
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) -e .
	@rm -f $(VENV)/.started && touch $@ && echo "set up: $(VENV)"

$(VENV)/.test: $(VENV)/.runtime
	@echo "adding the test tools to $(VENV)"
	@$(PIP) -e '.[test]'
	@touch $@

$(PEERS)/.installed: benchmarks/peers/constraints.txt
	@echo "setting up $(PEERS): about 6 GB"
	@rm -rf $(PEERS) && $(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --disable-pip-version-check -qq -c $< $(PEER_PACKAGES)
	@touch $@
