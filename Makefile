# Two commands matter: `make demo` and `make test`. Everything else builds on their virtual environments.
PYTHON ?= python3
DEMO   := .venv-demo
DEV    := .venv
PEERS  := .venv-peers
LABEL  := .venv-label
BIN    := $(DEV)/bin
PORT   ?= 8000

.PHONY: demo test check format bench soak starter-model real-sets yardstick peers ablation realism trial constraints clean help

help:
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/'

$(DEMO)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEMO)
	$(DEMO)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(DEV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(DEV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,link,archive,cluster,deidentify,trial,imagenet,dev]'
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

$(PEERS)/.done: serving/bench/peers/requirements.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

$(LABEL)/.done: serving/bench/peers/requirements-label.txt
	$(PYTHON) -m venv $(LABEL)
	$(LABEL)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

bench: $(DEV)/.done $(PEERS)/.done $(LABEL)/.done  ## this server beside its floor and its peers, in one run (about ten minutes)
	$(BIN)/hipsono bench --peers-python $(PEERS)/bin/python --peers-python $(LABEL)/bin/python

starter-model: $(DEV)/.done  ## phantoms, training, export, evaluation: the model in model/weights (about sixteen hours on two cores); needs make real-sets
	@test -n "$(wildcard data/real/*-train/dataset.json)" || { echo "no real frames to learn from: make real-sets HIPSONO_DATA=folder"; false; }
	$(first_stage)
	$(to_starter6)
	$(two_teachers)
	$(call phantoms,data/taught,8000,100000)
	$(call trained,taught,taught,runs/lite-half,$(VESSELS_THRICE) --teacher runs/wide --teacher runs/lite-half)
	$(call phantoms,data/taught-on,8000,110000)
	$(call trained,taught-on,taught-on,runs/taught,$(VESSELS_THRICE) --teacher runs/wide --teacher runs/taught)
	$(call averaged,runs/starter7,runs/taught=0.5 runs/taught-on=0.5)
	$(BIN)/hipsono export runs/starter7 --half --name starter:7 -o runs/starter7/network.onnx
	$(follow_capsules)
	$(BIN)/hipsono capsule attach runs/starter7/network.onnx runs/capsule --name starter:8 -o model/weights/starter.onnx
	$(call phantoms,data/exam,2000,3200000)
	$(BIN)/hipsono evaluate model/weights/starter.onnx --data data/exam -o runs/starter8/report

# folder, count, first seed, options: phantoms; a folder that an interrupted run left without its last file is begun again
define phantoms
	test -f $(1)/dataset.json || { rm -rf $(1) && $(BIN)/hipsono phantom -n $(2) --seed $(3) $(4) -o $(1); }
endef

define first_stage
	$(call phantoms,data/starter,7000,0)
	$(BIN)/hipsono train training/recipes/starter.toml --data data/starter -o runs/starter --resume
endef

# starters 1 to 6, eight and a half hours
define to_starter6
	$(call phantoms,data/served,12000,0)
	$(call trained,served,served,runs/starter,$(REAL))
	$(call averaged,runs/blend,runs/starter=0.25 runs/served=0.75)
	$(call phantoms,data/foreign,6000,20000)
	$(call trained,foreign,foreign,runs/blend,$(REAL))
	$(call phantoms,data/anatomy,6000,40000)
	$(call trained,anatomy,anatomy,runs/foreign,$(VESSELS_TWICE))
	$(call averaged,runs/starter4,runs/foreign=0.5 runs/anatomy=0.5)
	$(call phantoms,data/long,12000,40000)
	$(call trained,long,long,runs/starter4,$(VESSELS_THRICE))
	$(call trained,sharp,long,runs/long,$(VESSELS_THRICE))
	$(call phantoms,data/more,8000,60000)
	$(call trained,shape,more,runs/sharp,$(VESSELS_THRICE))
	$(call trained,edges,more,runs/shape,$(VESSELS_THRICE))
	$(call averaged,runs/starter6,runs/sharp=0.5 runs/edges=0.5)
	test -f $(SIX) || $(BIN)/hipsono export runs/starter6 -o $(SIX)
endef

# kin of starter 6 (runs/wide), and a network of another encoder that begins under its decoder (runs/lite-half): four hours
define two_teachers
	$(call phantoms,data/border,8000,80000)
	$(call trained,gentle,border,$(SIX),$(VESSELS_THRICE))
	$(call trained,border,border,$(SIX),$(VESSELS_THRICE))
	$(call averaged,runs/wide,$(SIX)=0.4 runs/gentle=0.3 runs/border=0.3)
	$(call phantoms,data/wide,9000,70000)
	$(call trained,lite0,wide,$(SIX),$(VESSELS_THRICE))
	$(call trained,warp,wide,runs/lite0,$(VESSELS_THRICE))
	$(call averaged,runs/lite,runs/lite0=0.5 runs/warp=0.5)
	$(call phantoms,data/next,8000,88000)
	$(call trained,lite0-on,next,runs/lite,$(VESSELS_THRICE))
	$(call averaged,runs/lite-half,runs/lite=0.5 runs/lite0-on=0.5)
endef

# the network that follows capsules: three quarters of an hour
define follow_capsules
	$(call phantoms,data/hips,6000,130000,--view anterior_longitudinal)
	$(call phantoms,data/hips-more,6000,136000,--view anterior_longitudinal)
	$(call phantoms,data/all-views,8000,120000)
	$(BIN)/hipsono capsule train training/recipes/capsule.toml --data data/hips --extra data/hips-more --extra data/all-views -o runs/capsule --resume
endef

# recipe, data, what to go on from, extra sets and teachers: a run of the recipe's name
define trained
	$(BIN)/hipsono train training/recipes/$(1).toml --data data/$(2) --weights $(3) $(4) -o runs/$(1) --resume
endef

# folder, shares: an average of runs, made once
define averaged
	test -f $(1)/best.pt || { rm -rf $(1) && $(BIN)/python -m training.blend $(2) -o $(1); }
endef

# patterns: the sets they match, each mixed in as often as it is named
extra = $(foreach set,$(wildcard $(1)),--extra $(set))
REAL = $(call extra,data/real/*-train)
VESSELS_TWICE = $(call extra,data/real/regional-train data/real/*-train)
VESSELS_THRICE = $(call extra,data/real/regional-train data/real/regional-train data/real/*-train)
SIX := runs/starter6/network.onnx

real-sets: $(DEV)/.done  ## real frames as data sets, four fifths to learn from and a fifth held back: make real-sets HIPSONO_DATA=folder
	$(call real_set,regional,regional-anaesthesia/images,--masks $(HIPSONO_DATA)/regional-anaesthesia/masks --classes 2=vessel)
	$(call real_set,infant,other-anatomy/infant-hip,)
	$(call real_set,leg,other-anatomy/leg-muscle,--patient 'img_(\d\d\d)')
	$(call real_set,legcine,other-anatomy/leg-muscle-cine,--patient '^(S\d+|[a-z]+_[a-z]+)')

# name, folder below HIPSONO_DATA, options of the import: a data set, its split, and the two parts as sets of their own;
# regional's fifth stays as it was drawn for the served model, less a frame of the rest that looks like one of it
define real_set
	test -f data/real/$(1)/dataset.json || { rm -rf data/real/$(1) && $(BIN)/hipsono data import $(HIPSONO_DATA)/$(2) $(3) \
		--provenance "real frames: $(2)" -o data/real/$(1); }
	test -f data/real/$(1).json || cp training/recipes/$(1)-split.json data/real/$(1).json 2>/dev/null || \
		$(BIN)/hipsono data split data/real/$(1) --fractions 0.8,0,0.2 -o data/real/$(1).json
	$(call real_part,$(1),train,train)
	$(call real_part,$(1),held,calibration)
endef

# name, what its folder's name ends in, part of the split
define real_part
	test -f data/real/$(1)-$(2)/dataset.json || { rm -rf data/real/$(1)-$(2) && $(BIN)/hipsono data export data/real/$(1) \
		--split data/real/$(1).json --part $(3) -o data/real/$(1)-$(2); }
endef

soak: $(DEV)/.done  ## an archive's run killed at twenty random moments; 200 cines among real and broken files (about five minutes): make soak HIPSONO_DATA=folder
	HIPSONO_DATA='$(HIPSONO_DATA)' HIPSONO_KILLS=20 HIPSONO_CINES=200 $(BIN)/pytest -rs tests/flow/test_archive.py tests/flow/test_mixed_archive.py

yardstick: $(DEV)/.done  ## sixty wave-simulated frames of today's generator in data/yardstick (about eight minutes); tests/yardstick stays as it was rendered once
	test -f data/yardstick/dataset.json || { rm -rf data/yardstick && \
		OMP_NUM_THREADS=1 $(BIN)/hipsono phantom --wave -n 60 --seed 5000000 -o data/yardstick; }

peers: $(DEV)/.done  ## runs/peers, runs/trade, runs/amount: ours beside the field's usual networks, by encoder and size, by phantoms and minutes (about four hours)
	$(compared_sets)
	$(COMPARE) peers --minutes 12 -o runs/peers
	$(COMPARE) trade --minutes 6 -o runs/trade
	$(COMPARE) amount --minutes 20 -o runs/amount

ablation: $(DEV)/.done  ## runs/ablation, runs/formation: the last stage's recipe part by part, on from the first stage; one renderer or both, greys evened out four ways (about two hours and a half after the first stage's hour); needs make real-sets
	@test -n "$(wildcard data/real/*-train/dataset.json)" || { echo "no real frames to leave out: make real-sets HIPSONO_DATA=folder"; false; }
	$(first_stage)
	$(compared_sets)
	$(COMPARE) ablation --minutes 3.5 --weights runs/starter $(call extra,data/real/*-train) -o runs/ablation
	$(call phantoms,data/focused,3000,40000,--renderer focused)
	$(COMPARE) formation --minutes 20 --one-renderer data/focused -o runs/formation

define compared_sets
	$(call phantoms,data/anatomy,6000,40000)
	$(call phantoms,data/tune,300,900000)
endef

COMPARE = $(BIN)/python -m training.comparison --data data/anatomy --exam data/tune --foreign tests/yardstick

realism: $(DEV)/.done  ## runs/realism: how well a classifier tells phantoms from real frames, and real scanners from each other; needs make real-sets
	@test -n "$(REAL_SETS)" || { echo "no real frames to compare with: make real-sets HIPSONO_DATA=folder"; false; }
	$(call phantoms,data/tune,300,900000)
	$(BIN)/python -m training.realism data/tune $(REAL_SETS) -o runs/realism

REAL_SETS = $(patsubst %/dataset.json,%,$(filter-out %-train/dataset.json %-held/dataset.json,$(wildcard data/real/*/dataset.json)))

trial: $(DEV)/.done  ## a simulated trial of 120 phantom patients end to end: rendered, graded, tabled beside its truth (about three minutes)
	test -f data/trial/design.csv || $(BIN)/hipsono phantom --trial -o data/trial
	$(BIN)/hipsono grade data/trial/studies -o data/trial/graded --resume
	$(BIN)/hipsono cohort data/trial/graded --design data/trial/design.csv -o data/trial/report

constraints: $(DEV)/.done  ## write constraints.txt from the development environment
	(echo "# Exact versions of everything the tests and the demo install; made by \`make constraints\`."; \
	 $(BIN)/pip freeze --exclude-editable) > constraints.txt

clean:
	rm -rf $(DEMO) $(DEV) $(PEERS) $(LABEL) *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
