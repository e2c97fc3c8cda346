# Needs python3 (3.11 or newer, with venv) and make; everything else goes into .venv.
# `make test-oldest` has its own environment, .venv-oldest, and needs Python 3.11 or 3.12.
#
#   make demo    evaluate predictions of handwritten digits
#   make test    lint, types, every test, every example, every doctest
#   make test-oldest   every test with the oldest NumPy and Numba that pyproject.toml allows
#   make test-next   every test with Numba's release candidates, past our cap
#   make portable   the tests that hold on every system; Windows: PYTHON=python BIN=.venv/Scripts
#   make hardening   the tests that take too long for that; writes docs/hardening.md
#   make lint    ruff, mypy and pyright alone; `make format` lets ruff rewrite the files
#   make repository   spelling, workflows, what sp-repo-review asks of a repository
#   make bench   time the current checkout (asv)
#   make compare time it beside its peers and the memory's limit; fills README.md, docs/ and a page of this processor
#   make against   hold the checkout to commit BASE: the same bits, first calls, times
#   make first-call  measure what first calls cost; fills docs/first-call.md
#   make silent   give bad and hard inputs to every library; fills docs/silent.md and README.md
#   make pictures  draw the losses, their errors over size and first calls: docs/pictures/
#   make accuracy  measure every error and fill docs/accuracy.md: an hour (SEED=1 draws other rows)
#   make mutation  break the code in small ways, see what no test notices; writes docs/mutation.md
#   make figures write what our commands print, and what extras take, into README.md and docs/
#   make docs    build the site: docs/_build/index.html
#   make site-test   the same, then look for dead links and open its pages in chromium
#   make wheel   build the sdist and the wheels, one with prebuilt kernels; test each in a fresh environment
#   make pure-wheel   the same without prebuilt kernels, which take minutes
#   make tag     check that TAG is the version in fastloss/__init__.py
#   make clean   remove whatever the above made

PYTHON ?= python3
BIN := .venv/bin
PIP = $(BIN)/python -m pip --quiet --disable-pip-version-check
DIGITS := examples/digits
OLDEST := .venv-oldest
NEXT := .venv-next
SEED ?= 0
BASE ?= 0016565
HEAD ?= HEAD
COMMITS ?= 10
ASV = ../$(BIN)/asv
BENCHES = $(if $(BENCH),--bench '$(BENCH)')

.PHONY: demo test test-oldest test-next portable hardening lint format repository bench bench-page bench-compare compare against first-call
.PHONY: silent pictures accuracy mutation figures docs site-test wheel pure-wheel tag clean

demo: .venv/demo
	$(BIN)/fastloss evaluate $(DIGITS)/logits.npy $(DIGITS)/labels.npy \
		--loss sparse_categorical_crossentropy --from-logits

test: lint
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q --numprocesses=auto tests/engine/test_small_blocks.py \
		tests/engine/test_edges.py tests/engine/loops/test_targets.py

test-oldest $(OLDEST)/dev: BIN := $(OLDEST)/bin
test-next $(NEXT)/dev: BIN := $(NEXT)/bin

# Their compiled kernels lie apart, so that no environment's replace another's.
test-oldest: $(OLDEST)/dev
	NUMBA_CACHE_DIR=$(CURDIR)/$(OLDEST)/cache $(BIN)/python -m pytest --numprocesses=auto --dist=loadfile

test-next: $(NEXT)/dev
	NUMBA_CACHE_DIR=$(CURDIR)/$(NEXT)/cache $(BIN)/python -m pytest --numprocesses=auto --dist=loadfile

portable: .venv/portable
	$(BIN)/fastloss check
	$(BIN)/python -m pytest tests/typing tests/facade/test_golden.py tests/facade/test_losses.py tests/facade/test_functional.py \
		tests/facade/test_reduction.py tests/facade/test_errors.py tests/formats/test_npy.py

hardening: .venv/dev
	$(BIN)/python tools/harden.py

lint: .venv/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright

format: .venv/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

repository: .venv/repository
	$(BIN)/typos
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/repo-review . --show err

bench: .venv/bench
	cd benchmarks && $(ASV) machine --yes >/dev/null && $(ASV) run --quick --show-stderr --python=same

bench-page: .venv/bench
	cd benchmarks && $(ASV) machine --yes >/dev/null && \
		$(ASV) run --quick --skip-existing --show-stderr $(BENCHES) HEAD~$(COMMITS)..HEAD && $(ASV) publish
	@echo "the page: cd benchmarks && $(ASV) preview"

bench-compare: BASE = HEAD~1
bench-compare: .venv/bench
	cd benchmarks && $(ASV) machine --yes >/dev/null && $(ASV) continuous --show-stderr $(BENCHES) $(BASE) $(HEAD)

compare: .venv/peers
	$(BIN)/python -m benchmarks.compare --write
	$(BIN)/python -m benchmarks.costs
	$(BIN)/python -m benchmarks.axes
	$(BIN)/python -m benchmarks.views
	$(BIN)/python -m benchmarks.files

against: .venv/dev
	$(BIN)/python -m benchmarks.against $(BASE) --bits --compile --speed --cache benchmarks/.against

first-call: .venv/dev
	$(BIN)/python -m benchmarks.first_call --write

silent: .venv/silent
	$(BIN)/python -m benchmarks.silent --write

pictures: .venv/silent
	$(BIN)/python docs/curves.py
	$(BIN)/python -m benchmarks.loss_sizes --write
	$(BIN)/python -m benchmarks.first_call --draw

accuracy: .venv/accuracy
	$(BIN)/python -m benchmarks.accuracy --seed $(SEED) --write

mutation: .venv/mutation
	$(BIN)/python -m tools.mutation --seed $(SEED) --write

figures: .venv/dev
	$(BIN)/python tools/fill_docs.py

docs: .venv/docs
	$(BIN)/sphinx-build --quiet --builder html --fresh-env --write-all --nitpicky --fail-on-warning --keep-going docs docs/_build

site-test: docs
	$(BIN)/python -m pytest tests/project/test_site.py

wheel: .venv/dev
	rm -rf dist
	$(BIN)/python tools/build_wheels.py dist $(WHEELS)
	for wheel in dist/*.whl; do $(BIN)/python tools/check_wheel.py $$wheel || exit 1; done

pure-wheel:
	$(MAKE) wheel WHEELS=--pure

tag:
	@grep -qx '__version__ = "$(TAG:v%=%)"' fastloss/__init__.py || { echo "TAG must be v and the version in fastloss/__init__.py, got $(TAG)"; exit 1; }

clean:
	rm -rf .venv $(OLDEST) $(NEXT) dist build docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		benchmarks/.asv benchmarks/.against
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp file stands for what is installed, and is older than pyproject.toml when that changed.

.venv/base: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fastloss needs Python 3.11 or newer, this is " + sys.version)'
	@echo "installing into .venv (a minute or two, once)"
	@$(PYTHON) -m venv .venv
	@$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

# Wheels alone: where there is none for this Python, that is said at once, not by a compiler.
$(OLDEST)/dev: pyproject.toml
	@echo "installing into $(OLDEST) (a minute or two, once)"
	@$(PYTHON) -m venv $(OLDEST)
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --only-binary numpy,numba,llvmlite --editable '.[cli]' --group test --group oldest
	@touch $@

$(NEXT)/dev: pyproject.toml
	@echo "installing into $(NEXT) (a minute or two, once)"
	@$(PYTHON) -m venv $(NEXT)
	@$(PIP) install --upgrade 'pip>=25.1'
	@$(PIP) install --editable '.[cli]' --group test
	@$(PIP) install --pre --upgrade --no-deps --only-binary :all: numba llvmlite
	@touch $@

.venv/demo: .venv/base
	@$(PIP) install --editable '.[cli]'
	@touch $@

.venv/dev: .venv/base
	@$(PIP) install --editable '.[cli]' --group dev
	@touch $@

.venv/docs: .venv/base
	@$(PIP) install --editable '.[cli,dask]' --group test --group docs
	@touch $@

.venv/portable: .venv/base
	@$(PIP) install --editable '.[cli]' --group test
	@touch $@

.venv/repository: .venv/base
	@$(PIP) install --group repository
	@touch $@

.venv/bench: .venv/base
	@$(PIP) install --editable . --group bench
	@touch $@

.venv/peers: .venv/base
	@$(PIP) install --editable . --group peers
	@touch $@

.venv/silent: .venv/base
	@$(PIP) install --editable . --group silent
	@touch $@

.venv/mutation: .venv/base
	@$(PIP) install --editable '.[cli]' --group test --group mutation
	@touch $@

# A peer that cannot be installed is left out of the tables.
.venv/accuracy: .venv/base
	@$(PIP) install --editable . --group accuracy
	@$(PIP) install --group accuracy-peers || echo "no peers: measuring fastloss alone"
	@touch $@
