# Two commands for a newcomer: `make demo` runs everything end to end, `make test` checks everything.
# The environment lives in .venv and is made from requirements.lock (plain name==version pins); what only tests need is
# pinned in tests/requirements.lock.

PYTHON ?= python3
BIN := .venv/bin
SEED ?= 0
# modules are compiled when they are first used: compiling all that is installed would take a minute
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
# whatever the shell says: where Python may keep nothing, every command here would compile torch anew, which takes seconds
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test test-all lint validators clean

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version). Name another one: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	@echo "installing into .venv what requirements.lock names (a minute or two)"
	@xargs -P 2 -n 8 $(PIP) --no-deps < requirements.lock  # one pip unpacks on one core: two at a time
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

# synthetic videos -> shards -> EZ-VSL -> a page -> its neighbours -> EZ-VSL with conceptual positives -> the whole page;
# every line can be repeated: what is finished is left alone
demo: announced setup
	@echo; echo "1 of 8: make 2,000 videos with known answers (75 seconds)"
	$(BIN)/pipeline synth --out demo/synth --clips 2000 --seed $(SEED) --surroundings 0 --rivals
	@echo; echo "2 of 8: decode them once, into shards (15 seconds)"
	$(BIN)/pipeline ingest --src demo/synth --out demo/shards
	@echo; echo "3 of 8: teach a small image trunk to see, in place of ImageNet weights (55 seconds)"
	$(BIN)/training pretrain --src demo/synth/objects --out demo/pretrained.safetensors --seed $(SEED) \
	  --blocks 1,1,1 --width 32 --image-size 112 --epochs 10 --batch-size 32 --learning-rate 4e-3
	@echo; echo "4 of 8: train EZ-VSL, which has images and sounds and no labels (1 minute)"
	$(BIN)/training run demo.yaml seed=$(SEED) --runs demo/runs
	@echo; echo "5 of 8: score it, and write a first page (15 seconds)"
	$(BIN)/training evaluate demo/runs/demo
	$(BIN)/training report demo/runs/demo --shards demo/shards --out demo/report
	@echo "You can look at this page now. It grows by the second run in a minute and a half."
	@echo; echo "6 of 8: find the neighbours of every clip, by its sound and by what is under the map (15 seconds)"
	$(BIN)/training embed demo/runs/demo --pool map --out demo/embeddings
	$(BIN)/index build-knn --k 100 --shards demo/shards --embeddings demo/embeddings --out demo/knn
	@echo; echo "7 of 8: go on training, with sounds of neighbours as further positives (30 seconds)"
	$(BIN)/training run demo_semantic.yaml seed=$(SEED) --runs demo/runs
	@echo; echo "8 of 8: score it, and write the whole page (15 seconds)"
	$(BIN)/training evaluate demo/runs/demo_semantic
	$(BIN)/training report demo/runs/demo demo/runs/demo_semantic --shards demo/shards --out demo/report
	@echo; $(BIN)/training compare demo/runs/demo demo/runs/demo_semantic
	@echo "The second run goes on from the first. As many epochs without neighbours gave about the same with seed 0"
	@echo "(benchmarks/demo/settings.json), likely since the sounds of one class are drawn much alike, so that another adds little."
	@echo "On real images and sounds the neighbours of its own map help a little: README.md."
	@echo; echo "Next: put a heat map over any video of yours with"
	@echo "  $(BIN)/training localize demo/runs/demo VIDEO --out overlay.mp4"
	@page=demo/report/index.html; $(OPEN)

# a browser, where somebody sits before a display
OPEN := if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ] && command -v xdg-open > /dev/null; then xdg-open "$$page" > /dev/null 2>&1; \
  elif [ "$$(uname)" = Darwin ]; then open "$$page"; fi

.PHONY: announced
announced:
	@echo "The demo makes videos with known answers, trains two localizers on them, scores them and writes a page,"
	@echo "demo/report/index.html. On two quiet cores it takes about six minutes, one of them to install what it needs;"
	@echo "a first page is there after four and a half. It writes into .venv and demo. Ctrl-C stops it, and the same command goes on."

# what the tests and the checks of style need besides
.venv/tests: .venv/ready tests/requirements.lock
	@$(PIP) --no-deps -r tests/requirements.lock
	@touch $@

# two processes on two cores: more threads in each would wait for one another. Each takes tests that follow one another,
# so that most fixtures are made once.
test: .venv/tests lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

test-all: .venv/tests lint validators
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

# the schemas that the specs of manifests/cluster are held to
validators: .venv/validators

.venv/validators: .venv/ready tests/manifests/cluster/validators.lock
	$(PIP) --no-deps -r tests/manifests/cluster/validators.lock
	@touch $@

lint: .venv/tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyrefly check

clean:
	rm -rf .venv demo
