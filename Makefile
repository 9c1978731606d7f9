# make demo    set up, make a virtual patient, register its CT to its X-ray
# make test    set up and run every check
# make bench   set up and measure (long); never part of the tests
# PYTHON=...   the interpreter to begin with (3.11 or newer)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tests run on this version; without a GPU its CPU build is enough.  Users choose their own.
TORCH := torch==2.13.0

.PHONY: demo test lint bench clean

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet "$(TORCH)" --editable ".[test]"
	touch $@

$(VENV)/bench-installed: $(VENV)/installed
	$(BIN)/python -m pip install --quiet "$(TORCH)" --editable ".[bench]"
	touch $@

demo: $(VENV)/installed
	$(BIN)/wsreg demo --out demo-output --force

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/python -m pytest

benchmarks/output/cohort-small.h5: $(VENV)/bench-installed
	$(BIN)/wsreg simulate cohort --preset small --seed 0 --out $@

bench: $(VENV)/bench-installed benchmarks/output/cohort-small.h5
	$(BIN)/python benchmarks/renderer.py --write
	$(BIN)/python benchmarks/registration.py --write
	$(BIN)/python benchmarks/verdict.py --write
	$(BIN)/python benchmarks/bias.py --write
	$(BIN)/python benchmarks/command.py --write
	$(BIN)/python benchmarks/busy_machine.py --write
	$(BIN)/python benchmarks/simulator.py --write
	$(BIN)/python benchmarks/fields.py --cohort benchmarks/output/cohort-small.h5 --write
	$(BIN)/python benchmarks/cohort.py --cohort benchmarks/output/cohort-small.h5 --write
	$(BIN)/python benchmarks/cohort_registration.py --cohort benchmarks/output/cohort-small.h5 --write
	$(BIN)/python benchmarks/cohort_registration.py --cohort benchmarks/output/cohort-small.h5 --search --write
	$(BIN)/python benchmarks/two_views.py --cohort benchmarks/output/cohort-small.h5 --write
	$(BIN)/python benchmarks/two_views.py --cohort benchmarks/output/cohort-small.h5 --pairs 2 --timing --write
	$(BIN)/python benchmarks/label_errors.py --cohort benchmarks/output/cohort-small.h5 --write
	$(BIN)/python benchmarks/orientations.py --cohort benchmarks/output/cohort-small.h5 --every 2 --write
	$(BIN)/python benchmarks/off_centre.py --write
	$(BIN)/python benchmarks/bad_rois.py --cohort benchmarks/output/cohort-small.h5 --write
	$(BIN)/python benchmarks/single_bones.py --cohort benchmarks/output/cohort-small.h5 --write
	$(BIN)/python benchmarks/roi_march.py --cohort benchmarks/output/cohort-small.h5 --write
	$(BIN)/wsreg train segmentation --data benchmarks/output/cohort-small.h5 --hold-out 17-1882 --out benchmarks/output/unet/17-1882
	$(BIN)/python benchmarks/segmentation.py --cohort benchmarks/output/cohort-small.h5 --models benchmarks/output/unet/17-1882 --write
	$(BIN)/python benchmarks/roi_terms.py --cohort benchmarks/output/cohort-small.h5 --model benchmarks/output/unet/17-1882 --write
	$(BIN)/wsreg simulate cohort --preset small --seed 23 --out benchmarks/output/cohort-others.h5
	$(BIN)/wsreg train segmentation --data benchmarks/output/cohort-others.h5 --steps 6000 --out benchmarks/output/unet/others
	$(BIN)/python benchmarks/similarities.py --cohort benchmarks/output/cohort-small.h5 --unet benchmarks/output/unet/others --xrays-per-specimen 2 --jobs 2 --write
	$(BIN)/python benchmarks/similarities.py --cohort benchmarks/output/cohort-small.h5 --unet benchmarks/output/unet/others --xrays-per-specimen 2 --solver gauss-newton --jobs 2 --write
	for part in starts seconds capture robustness; do $(BIN)/python benchmarks/intraoperative.py --cohort benchmarks/output/cohort-small.h5 --unet benchmarks/output/unet/others --part $$part --write; done
	$(BIN)/python benchmarks/sequence.py --seed 202 --write
	$(BIN)/python benchmarks/pose_encoder.py --cohort benchmarks/output/cohort-small.h5 --write
	$(BIN)/python benchmarks/reproduction.py --cohort benchmarks/output/cohort-small.h5 --write
	$(BIN)/python benchmarks/public_baseline.py --cohort benchmarks/output/cohort-small.h5 --write
	$(BIN)/python benchmarks/fault_injection.py --reproduce table1 --write
	$(BIN)/python benchmarks/kills.py
	$(BIN)/python benchmarks/fuzz_readers.py --seed 1 --write

clean:
	rm -rf $(VENV) demo-output build .mypy_cache .ruff_cache .pytest_cache
