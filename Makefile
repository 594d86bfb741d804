# nanolab. `make demo` and `make test` can each be run first: they set everything up, once.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Name of the demo's run; what a run of that name has finished is kept.
RUN ?= demo
# More options of `nanolab run`, for example ARGS="-p epochs 4".
ARGS ?=
PYTEST_ARGS ?=
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
# Notebooks as the tests executed them, for the documentation.
EXECUTED := $(CURDIR)/build/executed

# How the network that ships is made: two hours and another one and a half on one core. What the second step adds, it adds to
# what the first has learned. An hour more fits what chooses among its regions, and trust in them, on renders of other seeds.
MODEL_FIRST := {spheres_sem: 160, spheres_tem: 160, cubes_sem: 160, cubes_tem: 160, rods_sem: 240, au_rods_tem: 240, \
  tio2_sem: 160, pt_on_carbon_haadf: 100, sio2_him: 100, tio2_him: 100, ag_agglomerates_him: 100}
MODEL_RECIPES := {rods_sem: 116, au_rods_tem: 116, catalyst_tem: 100, catalyst_haadf: 100, large_sem: 100, large_tem: 100, \
  odd_sem: 100, odd_tem: 100, wires_sem: 70, wires_tem: 70, clutter_sem: 70, clutter_tem: 70, bacteria_sem: 70, \
  carriers_tem: 70, tio2_sem: 86, spheres_sem: 86, spheres_tem: 86, cubes_sem: 86, cubes_tem: 86, pt_on_carbon_haadf: 46, \
  ag_agglomerates_him: 46, ag_wires_him: 16, sio2_him: 32, tio2_him: 32}
MODEL_NAMES := $(shell echo '$(MODEL_RECIPES)' | grep -o '[a-z][a-z0-9_]*')
MODEL_SETTINGS := {epochs: 40, steps_per_epoch: 150, threads: 1, augmentation.scale: [0.5, 2.0]}
MODEL_GOES_ON := {start_from: papermill_runs/04_training/model-first/training, learning_rate: 1e-3, epochs: 40, \
  steps_per_epoch: 100, threads: 1, augmentation.scale: [0.5, 2.0], readout_options: {dynamic: 0.15}}
MODEL_RUN = $(BIN)/nanolab run notebooks/04_training.ipynb -p test_data '[bam-tio2, emps]' -p magnification auto \
  -p compare_with_real false

.DEFAULT_GOAL := help
.PHONY: help demo model gpu test test-slow bench benchmark docs lint format lab setup lock clean

help: ## list what can be made
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

demo: setup ## the main job: render, train, choose, segment, measure
	$(BIN)/nanolab run notebooks/00_quickstart.ipynb --run-name $(RUN) $(ARGS)

model: setup ## train and test the network that ships, data/models/particles.safetensors
	$(MODEL_RUN) --run-name model-first -p recipes '$(MODEL_FIRST)' -p settings '$(MODEL_SETTINGS)' -p held_out 12 $(ARGS)
	$(MODEL_RUN) --run-name model -p recipes '$(MODEL_RECIPES)' -p lettering 0.4 -p preset adapt \
	  -p settings '$(MODEL_GOES_ON)' -p model_file data/models/particles.safetensors $(ARGS)
	PYTHONPATH=tests $(BIN)/python tests/benchmarks/fit_candidates.py $(MODEL_NAMES) tio2_sem tio2_sem
	PYTHONPATH=tests $(BIN)/python tests/benchmarks/calibrate_trust.py $(MODEL_NAMES) --check emps bam-tio2 --tune emps:47

gpu: setup ## Mill et al.'s training in full on rendered images, tested on BAM; for a GPU, prints time and scores
	$(BIN)/nanolab run notebooks/11_real_against_synthetic.ipynb --run-name gpu -p trained_on synthetic -p preset mill2021 \
	  -p settings '{}' -p appearances 1 -p choose_by dice -p postprocessing mill2021_tio2 $(ARGS)

# A process a core, one thread each: with more, they would fight. Tests of one file stay together and share what they made.
test: lint ## all checks and the tests
	rm -rf $(EXECUTED)
	NANOLAB_EXECUTED=$(EXECUTED) OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses logical --dist loadfile $(PYTEST_ARGS)

test-slow: setup ## the tests that take longer
	$(BIN)/pytest -m slow $(PYTEST_ARGS)

bench: setup ## measure time and quality
	$(BIN)/pytest -m bench -s $(PYTEST_ARGS)

benchmark: setup ## score the network that ships and thresholds on public micrographs, for docs/benchmark.md; goes on where it was
	$(BIN)/nanolab benchmark --most 100 -o papermill_runs/benchmark $(ARGS)
	mkdir -p papermill_runs/results/benchmark
	cp papermill_runs/benchmark/*.csv papermill_runs/benchmark/errors.png papermill_runs/results/benchmark

# What the tests have executed is taken; the other notebooks are executed now, by their tests. Nothing is fetched.
docs: setup ## the documentation, build/docs/index.html; no warnings
	OMP_NUM_THREADS=1 $(BIN)/python docs/pages.py build/docs-source $(EXECUTED)
	$(BIN)/sphinx-build -q -W --keep-going -b html build/docs-source build/docs

lint: setup ## style, types, notebooks without outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(if $(NOTEBOOKS),$(BIN)/nbstripout --verify $(NOTEBOOKS))

format: setup ## bring code and notebooks into the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(if $(NOTEBOOKS),$(BIN)/nbstripout $(NOTEBOOKS))

# The browser of files opens at the notebooks; results and recipes are next to them, and kernels run here, where the
# paths in the notebooks begin.
lab: setup ## JupyterLab on the notebooks, reachable from this machine alone
	$(BIN)/jupyter lab --ServerApp.ip=localhost --ServerApp.root_dir="$(CURDIR)" \
	  --ServerApp.preferred_dir="$(CURDIR)/notebooks" \
	  --ServerApp.kernel_manager_class=nanolab.runs.lab.KernelsAtRoot

setup: $(VENV)/.installed ## a virtual environment in .venv with the versions of requirements.lock

$(VENV)/.locked: requirements.lock
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) not found: install Python 3.11 (Debian: apt install \
	python3.11-venv), or name it: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2> /dev/null || { \
	echo "$(PYTHON) must be Python 3.11 with its venv module (Debian: apt install python3.11-venv)" >&2; exit 1; }
	@echo "Setting up .venv: a few minutes and 3 GB, more where PyTorch brings CUDA"
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --requirement requirements.lock
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	$(BIN)/pip install --no-deps --no-build-isolation --editable .
	@touch $@

# Pins stay as they are unless pyproject.toml rules them out; UPGRADE=--upgrade renews all but the two that are named.
# A local build (+cpu) and the CUDA packages are left out: pip takes from PyTorch what suits the machine.
lock: setup ## write requirements.lock from pyproject.toml
	$(BIN)/pip-compile $(UPGRADE) --quiet --extra dev --build-deps-for editable --allow-unsafe --strip-extras --no-header \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-emit-options --annotation-style line \
	  --upgrade-package torch==2.13.0 --upgrade-package bpy==4.5.15 --output-file requirements.lock pyproject.toml
	sed -i -E -e 's/^(torch==[0-9.]+)\+[a-z0-9]+/\1/' -e '/^(nvidia|cuda|triton)[a-z0-9-]*==/d' \
	  -e '/^(#|$$)/d' requirements.lock
	sed -i '1i # Written by `make lock` from pyproject.toml, on Linux with Python 3.11.' requirements.lock

clean: ## remove the environment and what tools left; data and runs stay
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
