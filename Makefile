# make train                    no data needed: make a phantom (synthetic slices), train the paper's network on it, report;
#                               stopped, it goes on when run again
# make train SOURCE=…           the same on real slices: prepare a folder or zip in the layout of the Kaggle download
# make test                     style and all tests but the next
# make test-tutorials           the tutorials and their answers in a small setting, on a phantom and on what passes for
#                               real data
# make check                    style, and the tests of ich_jax/paper: within a minute
# make tutorials                run the tutorials and their answers and write their notebooks anew (ONLY="02 05": these)
# make tutorials DATA=… SOURCE=… RUNS=…
#                               on real slices, with the paper's settings, the notebooks into out/tutorials/: DATA is the
#                               prepared folder (made of SOURCE first if it is not there), RUNS a folder of
#                               `python -m ich_jax.reproduce --out`; each may be left out
# make grade WORK=my_folder     points for the assignments of tutorials/coursework/ (SEED=… for other drawn cases)
# make bench                    benchmarks on this machine, into benchmarks/results/ (more than an hour on two cores)
# make bench-gpu                the networks on a GPU, beside PyTorch if it is installed: at most eight minutes
# data/README.md says how to get the real data. DATA is the prepared folder to make or use, OUT the run folder (if none is
# given, a new one in runs/), ARGS more flags for the training.

PYTHON ?= python3
VENV   := .venv
PY     := $(VENV)/bin/python
OUT    ?=
DATA   ?= data/prepared
ARGS   ?=
SOURCE ?=
ONLY   ?=
RUNS   ?=
WORK   ?=
SEED   ?=

# With an NVIDIA driver the CUDA build of JAX, otherwise the CPU build.
CUDA := $(if $(shell command -v nvidia-smi 2>/dev/null),-cuda)
RUN_REQUIREMENTS := requirements$(CUDA).txt
TUTORIALS_REQUIREMENTS := requirements-tutorials$(CUDA).txt

# XLA takes and returns about 1 GB of memory at every step on a CPU. In huge pages (Linux, glibc) that costs less.
export GLIBC_TUNABLES ?= glibc.malloc.hugetlb=1

.PHONY: train test test-tutorials check tutorials grade bench bench-gpu clean

train: $(VENV)/run.done
ifeq ($(SOURCE),)
	$(PY) -m ich_jax.train --resume $(if $(OUT),--out "$(OUT)") $(ARGS)
else
	$(PY) -m ich_jax.prepare "$(SOURCE)" --out "$(DATA)"
	$(PY) -m ich_jax.train --data "$(DATA)" --resume $(if $(OUT),--out "$(OUT)") $(ARGS)
endif

test: $(VENV)/dev.done
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m pytest --numprocesses 2 --dist loadgroup -m "not tutorial"

test-tutorials: $(VENV)/dev.done
	$(PY) -m pytest --numprocesses 2 -m tutorial tests/tutorials

check: $(VENV)/dev.done
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m pytest tests/paper

# Real slices are asked for by naming them: DATA's default alone is none.
REAL := $(if $(SOURCE)$(RUNS)$(filter-out file,$(origin DATA)),yes)
tutorials: $(VENV)/tutorials.done
ifeq ($(REAL),)
	$(PY) -m tutorials.build $(ONLY)
else
	$(if $(SOURCE),test -e "$(DATA)/prepare.json" || $(PY) -m ich_jax.prepare "$(SOURCE)" --out "$(DATA)")
	ICH_JAX_DATA="$(DATA)" ICH_JAX_SOURCE="$(SOURCE)" ICH_JAX_RUNS="$(RUNS)" $(PY) -m tutorials.build $(ONLY)
endif

ifeq ($(MAKECMDGOALS)$(WORK),grade)
$(error WORK is missing: make grade WORK=the folder with your files)
endif
grade: $(VENV)/run.done
	$(PY) -m tutorials.coursework.grade --work "$(WORK)" $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

bench: BENCH_SOURCE := $(or $(SOURCE),data/phantom/kaggle)
bench: $(VENV)/run.done
	$(if $(SOURCE),,$(PY) -m ich_jax.phantom --out $(BENCH_SOURCE))
	$(PY) -m benchmarks.phantom --json benchmarks/results
	$(PY) -m benchmarks.prepare "$(BENCH_SOURCE)" --json benchmarks/results
	$(PY) -m benchmarks.train_step --model all --json benchmarks/results
	$(PY) -m benchmarks.leakage --json benchmarks/results
	$(PY) -m benchmarks.rehearsal --json benchmarks/results
	$(PY) -m benchmarks.feed --json benchmarks/results

bench-gpu: $(VENV)/run.done
	$(PY) -m benchmarks.gpu --json benchmarks/results

clean:
	rm -rf $(VENV)

# pip sees for itself what is installed already; the .done files only spare the wait.
$(VENV)/run.done: $(RUN_REQUIREMENTS) requirements.txt | $(PY)
	$(PY) -m pip install --quiet -r $(RUN_REQUIREMENTS)
	touch $@

$(VENV)/dev.done: requirements-dev.txt requirements-compressed.txt requirements-onnx.txt requirements.txt | $(PY)
	$(PY) -m pip install --quiet -r requirements-dev.txt
	touch $@

$(VENV)/tutorials.done: $(TUTORIALS_REQUIREMENTS) requirements-tutorials.txt requirements.txt pyproject.toml | $(PY)
	$(PY) -m pip install --quiet -r $(TUTORIALS_REQUIREMENTS)
	touch $@

$(PY):
	$(PYTHON) -m venv $(VENV)
