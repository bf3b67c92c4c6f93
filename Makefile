# Two commands matter: `make demo` and `make test`. Everything else builds on their virtual environments.
PYTHON ?= python3
DEMO   := .venv-demo
DEV    := .venv
BIN    := $(DEV)/bin
PORT   ?= 8000

.PHONY: demo test check format bench starter-model peers constraints clean help

help:
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/'

$(DEMO)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(DEV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	@touch $@

demo: $(DEMO)/.done  ## serve the viewer with phantom cines of the three hip views
	$(DEMO)/bin/hipsono demo --port $(PORT)

check: $(DEV)/.done  ## lint, format, types, layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check  ## everything: checks, then the whole suite
	$(BIN)/pytest -n auto --dist loadscope

format: $(DEV)/.done  ## format and fix
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV)/.done  ## latency of a request against the bare network, in one run
	$(BIN)/hipsono bench

starter-model: $(DEV)/.done  ## phantoms, training, export, evaluation: the model in model/weights (about an hour on two cores)
	test -d data/starter || $(BIN)/hipsono phantom -n 7000 --seed 0 -o data/starter
	$(BIN)/hipsono train training/recipes/starter.toml --data data/starter -o runs/starter --resume
	$(BIN)/hipsono export runs/starter -o model/weights/starter.onnx
	test -d data/exam || $(BIN)/hipsono phantom -n 300 --seed 1001000 -o data/exam
	$(BIN)/hipsono evaluate model/weights/starter.onnx --data data/exam -o runs/starter/report

peers: $(DEV)/.done  ## our network beside the field's usual ones, the same data and minutes; a table in runs/peers
	test -d data/starter || $(BIN)/hipsono phantom -n 7000 --seed 0 -o data/starter
	test -d data/tune || $(BIN)/hipsono phantom -n 200 --seed 900000 -o data/tune
	$(BIN)/python -m training.peers --data data/starter --exam data/tune --minutes 20 -o runs/peers

constraints: $(DEV)/.done  ## write constraints.txt from the development environment
	(echo "# Exact versions of everything the tests and the demo install; made by \`make constraints\`."; \
	 $(BIN)/pip freeze --exclude-editable) > constraints.txt

clean:
	rm -rf $(DEMO) $(DEV) *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
