# make test                    everything that has to pass
# make train SOURCE=…          prepare a Kaggle-shaped folder or zip, then train the paper's network on it
# make bench SOURCE=…          benchmarks on this machine, into benchmarks/results/
# SOURCE is a folder or zip in the layout of the Kaggle download: see data/README.md. DATA is the prepared folder to
# make or use, OUT the run folder, ARGS more flags for the training.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
OUT    ?= runs/latest
DATA   ?= data/prepared
ARGS   ?=
SOURCE ?= $(ICH_JAX_RSNA_SAMPLE)

# With an NVIDIA driver the CUDA build of JAX, otherwise the CPU build.
RUN_REQUIREMENTS := $(if $(shell command -v nvidia-smi 2>/dev/null),requirements-cuda.txt,requirements.txt)

# XLA takes and returns about 1 GB of memory at every step on a CPU. In huge pages (Linux, glibc) that costs less.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

.PHONY: train test bench clean source

train: source $(VENV)/run.done
	$(PY) -m ich_jax.prepare "$(SOURCE)" --out "$(DATA)"
	$(PY) -m ich_jax.train --data "$(DATA)" --out "$(OUT)" --resume $(ARGS)

source:
	@test -e "$(SOURCE)" || { echo "give SOURCE=folder-or-zip: data/README.md says how to get the data" >&2; exit 2; }

test: $(VENV)/dev.done
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m pytest

bench: source $(VENV)/run.done
	$(PY) -m benchmarks.prepare "$(SOURCE)" --json benchmarks/results
	$(PY) -m benchmarks.train_step --json benchmarks/results

clean:
	rm -rf $(VENV)

# pip sees for itself what is installed already; the .done files only spare the wait.
$(VENV)/run.done: $(RUN_REQUIREMENTS) requirements.txt | $(PY)
	$(PY) -m pip install --quiet -r $(RUN_REQUIREMENTS)
	touch $@

$(VENV)/dev.done: requirements-dev.txt requirements.txt | $(PY)
	$(PY) -m pip install --quiet -r requirements-dev.txt
	touch $@

$(PY):
	$(PYTHON) -m venv $(VENV)
