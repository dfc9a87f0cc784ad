# Every target sets up what it needs by itself: a virtual environment in .venv, and below
# ~/.cache/slipstream (or $SLIPSTREAM_CACHE) the data set and the Kubernetes binaries.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help demo test lint unit compiled property integration e2e e2e-local e2e-cluster bench-build bench-serving bench-gate bench-operator soak faults faults-states images cluster cluster-down format lock sync-crd api-docs clean

help:  ## Show the targets.
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(INSTALLED): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "slipstream needs Python 3.11 or newer; set PYTHON=")'
	@echo "setup: making $(VENV) (about 3 GB with torch; one to three minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(INSTALLED)  ## Train, compress, prove, serve and scale a recommender on real data (5 to 10 minutes).
	@$(BIN)/python examples/recommender/train.py
	@$(BIN)/slipstream up examples/recommender/agentdeployment.yaml --load --rows-per-request 8
	@$(BIN)/python examples/verdict.py .slipstream/recommender/result.json

test: lint unit compiled property integration e2e-local  ## All checks; the first time also builds a Kubernetes control plane and an S3 server.

lint: $(INSTALLED)  ## Style, types and import rules.
	@echo "lint: ruff, mypy, import-linter"
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > /tmp/slipstream-lint-imports.$$$$ || { cat /tmp/slipstream-lint-imports.$$$$; rm -f /tmp/slipstream-lint-imports.$$$$; exit 1; }; rm -f /tmp/slipstream-lint-imports.$$$$

unit: $(INSTALLED)  ## Unit tests.
	@echo "unit: pure parts, virtual time, and real processes on loopback"
	@$(BIN)/pytest -q tests/unit

compiled: $(INSTALLED)  ## The runtime's unit tests again, with its hot modules compiled as the images have them.
	@folder=$$($(BIN)/python hack/compiled.py) || { status=$$?; test $$status = 2; exit; }; \
	  echo "compiled: the runtime's tests again, with its hot modules compiled" && \
	  PYTHONPATH=$$folder $(BIN)/pytest -q -m "not interpreted" tests/compiled tests/unit/runtime

property: $(INSTALLED)  ## Property tests.
	@echo "property: thousands of generated cases"
	@$(BIN)/pytest -q tests/property

integration: $(INSTALLED)  ## The operator against a real API server.
	@$(BIN)/python hack/control_plane/build.py > /dev/null
	@$(BIN)/python hack/control_plane/s3_server.py > /dev/null
	@echo "integration: the operator against a real etcd, kube-apiserver and kube-controller-manager"
	@$(BIN)/pytest -q tests/integration

e2e: e2e-local e2e-cluster  ## Whole runs, on this machine alone and on a real cluster.

e2e-local: $(INSTALLED)  ## The whole local run on a small model.
	@echo "e2e: slipstream up on a small model: build, serve, load, scale"
	@$(BIN)/pytest -q tests/e2e

e2e-cluster: $(INSTALLED)  ## Chart, images and an agent's life on a real cluster (root on Linux; DISRUPTIONS=10 at a steady load).
ifeq ($(shell uname)-$(shell id -u),Linux-0)
	@echo "e2e: helm install, kubectl apply, real pods, $(or $(DISRUPTIONS),10) planned disruptions"
	@$(BIN)/pytest -q tests/e2e_cluster
else
	@echo "e2e: ok without a cluster; that part was skipped, as a cluster from source needs root on Linux: sudo make e2e-cluster"
endif

bench-build: $(INSTALLED)  ## Measure the builder beside other tools on three real models (about 40 minutes).
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bench/build/requirements.txt
	@$(BIN)/python -m bench.gate
	@$(BIN)/python -m bench.build

bench-serving: $(INSTALLED)  ## Measure the runtime beside six other servers (about 20 minutes; needs wrk).
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bench/build/requirements.txt
	@$(BIN)/python -m bench.serving

bench-gate: $(INSTALLED)  ## How often the gate errs, over synthetic candidates.
	@$(BIN)/python -m bench.gate

bench-operator: $(INSTALLED)  ## 1,000 AgentDeployments and 5,000 pods on a real control plane (root on Linux; about 15 minutes).
	@$(BIN)/python -m bench.fleet

soak: $(INSTALLED)  ## Wear the runtime down: 10 million requests, hostile batchmates, flat memory (15 to 45 minutes; goes on where it was interrupted).
	@mkdir -p .slipstream
	@PYTHONPATH=$$($(BIN)/python hack/compiled.py) $(BIN)/python -m bench.soak --state .slipstream/soak.json

faults: $(INSTALLED)  ## Kill the operator and break its API at every call of a full life (about an hour).
	@$(BIN)/python -m bench.states
	@$(BIN)/python -m bench.faults

faults-states: $(INSTALLED)  ## Hold the operator to a reference model over 20,000 random steps in virtual time (a few minutes).
	@$(BIN)/python -m bench.states

images:  ## The three images as archives, built without a registry (root, Debian; 5 minutes the first time, then seconds).
	@$(PYTHON) hack/images/build.py

cluster: $(INSTALLED)  ## Start a single-node Kubernetes from source (root on Linux; BACKEND=kind or kubeconfig elsewhere).
	@$(BIN)/python hack/cluster $(if $(BACKEND),--backend $(BACKEND)) up

cluster-down: $(INSTALLED)  ## End that cluster and all of it.
	@$(BIN)/python hack/cluster down

format: $(INSTALLED)  ## Format the code.
	@$(BIN)/ruff check --quiet --fix . && $(BIN)/ruff format --quiet .

COMPILE = $(BIN)/uv pip compile --quiet --generate-hashes --python-version 3.11 --no-emit-index-url --custom-compile-command "make lock"

# What images/leave_out_cuda.py lets torch do without.
CUDA_LEFT_OUT = cuda-bindings cuda-pathfinder cuda-toolkit triton $(addprefix nvidia-, cublas cuda-cccl cuda-cupti cuda-nvrtc \
  cudnn-cu13 cufft cufile cusolver cusparse cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx)

lock: $(INSTALLED)  ## Renew the pinned dependencies, of development and of the images.
	@$(BIN)/python -m pip install --quiet uv
	@$(COMPILE) pyproject.toml --extra operator --extra builder --extra runtime --extra dev -o constraints.txt
	@$(COMPILE) pyproject.toml --extra builder --constraint constraints.txt $(CUDA_LEFT_OUT:%=--no-emit-package %) -o images/builder.txt
	@$(COMPILE) pyproject.toml --extra operator --constraint constraints.txt -o images/operator.txt
	@$(COMPILE) pyproject.toml --extra runtime --constraint constraints.txt -o images/runtime.txt
	@$(COMPILE) pyproject.toml --extra gpu --constraint constraints.txt -o images/runtime-gpu.txt
	@printf "%s\n" hatchling mypy setuptools msgspec numpy orjson | $(COMPILE) - --constraint constraints.txt -o images/wheel.txt
	@$(COMPILE) bench/build/requirements.in --constraint constraints.txt -o bench/build/requirements.txt
	@for peer in bench/serving/peers/*.in; do $(COMPILE) $$peer -o $${peer%.in}.txt; done

sync-crd:  ## Copy the CRD to where the command line and the chart need it.
	@cp crds/agentdeployments.yaml operator/slipstream_operator/api/agentdeployments.yaml
	@cp crds/agentdeployments.yaml charts/slipstream/files/agentdeployments.yaml

api-docs: $(INSTALLED)  ## Write docs/api.md from the CRD.
	@$(BIN)/python hack/api_docs.py

clean:  ## Remove what the targets made in this folder.
	@rm -rf $(VENV) .slipstream .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
