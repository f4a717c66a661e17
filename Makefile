# Two commands for a newcomer: `make demo` runs everything end to end, `make test` checks everything.
# The environment lives in .venv and is made from requirements.lock (plain name==version pins); what only tests need is
# pinned in tests/requirements.lock.

PYTHON ?= python3
BIN := .venv/bin
SEED ?= 0

.PHONY: setup demo test test-all lint validators clean

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version). Name another one: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# synthetic videos -> shards -> EZ-VSL -> its neighbours -> EZ-VSL with conceptual positives -> scores -> one page;
# every line can be repeated: what is finished is left alone
demo: setup
	$(BIN)/pipeline synth --out demo/synth --clips 2400 --seed $(SEED)
	$(BIN)/pipeline ingest --src demo/synth --out demo/shards
	$(BIN)/training pretrain --src demo/synth/objects --out demo/pretrained.safetensors --seed $(SEED) \
	  --blocks 1,1,1 --width 48 --image-size 112 --epochs 12 --batch-size 32 --learning-rate 4e-3
	$(BIN)/training run demo.yaml seed=$(SEED) --runs demo/runs
	$(BIN)/training embed demo/runs/demo --out demo/embeddings
	$(BIN)/index build-knn --k 100 --shards demo/shards --embeddings demo/embeddings --out demo/knn
	$(BIN)/training run demo_semantic.yaml seed=$(SEED) --runs demo/runs
	$(BIN)/training evaluate demo/runs/demo
	$(BIN)/training evaluate demo/runs/demo_semantic
	$(BIN)/training report demo/runs/demo demo/runs/demo_semantic --shards demo/shards --out demo/report

# what the tests and the checks of style need besides
.venv/tests: .venv/ready tests/requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/requirements.lock
	@touch $@

# two processes on two cores: more threads in each would wait for one another
test: .venv/tests lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "not slow"

test-all: .venv/tests lint validators
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# the schemas that the specs of manifests/cluster are held to
validators: .venv/validators

.venv/validators: .venv/ready tests/manifests/cluster/validators.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/manifests/cluster/validators.lock
	@touch $@

lint: .venv/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check

clean:
	rm -rf .venv demo
