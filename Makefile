# Every target sets up what it needs; the second run reuses it. `make demo` and `make test` are all that a newcomer types.
#
#   make demo         grade a digital phantom (or CT=... FDG=... ACETATE=... SEG=... LIVER=... TUMOR=...) in a Slicer scene
#   make test         the tests, but for the slow ones
#   make test-slow    the slow ones
#   make slicer-host  the module in a window beside slice and 3D views, without Slicer (ARGS="--sample poor" to begin with)
#   make lint         ruff: format and lint
#   make types        mypy on the public names
#   make docs         the pages as a site, in build/site
#   make coverage     the tests, and which lines they reach (build/coverage)
#   make fuzz         2,000 damaged inputs for every reader (ARGS="--inputs 500 --seed 7 --targets dicom")
#   make bench        the benchmarks
#   make gpu-check    CUDA against the CPU, in under four minutes; says "no GPU" where there is none
#   make lists        bring the file lists, REACTKDTrain.xml and the generated pages of docs/reference up to date
#   make owner        write the account of the public repository into every address (OWNER=account)
#   make release-check  what stands in the way of a release
#   make venv         the set-up alone
#   make clean        remove what demo, benchmarks and builds wrote

PYTHON ?= $(shell command -v python3 || command -v python)
VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready

export PYTHONPATH := $(CURDIR)/REACTKD:$(CURDIR)/REACTKDTrain:$(CURDIR)/Testing

# Rendering without a screen: VTK draws into memory by OSMesa (by EGL where OSMesa is gone), Qt by its off-screen platform.
ifeq ($(shell uname -s),Linux)
OSMESA = $(shell PATH="$$PATH:/sbin:/usr/sbin" ldconfig -p | grep -c 'libOSMesa\.so\.8 ')
export VTK_DEFAULT_OPENGL_WINDOW ?= $(if $(filter 0,$(OSMESA)),vtkEGLRenderWindow,vtkOSOpenGLRenderWindow)
endif
export QT_QPA_PLATFORM ?= offscreen

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-slow slicer-host lint types docs coverage fuzz bench gpu-check lists owner release-check clean

help:
	@sed -n 's/^#   //p' Makefile

venv: $(STAMP)

$(STAMP): requirements-dev.txt Testing/tools/setup_environment.sh
	@sh Testing/tools/setup_environment.sh "$(PYTHON)" "$(VENV)"
	@touch $@

demo: $(STAMP)
	@$(PY) Testing/demo/run_demo.py --output build/demo \
	  $(if $(CT),--ct "$(CT)") $(if $(FDG),--fdg "$(FDG)") $(if $(ACETATE),--acetate "$(ACETATE)") \
	  $(if $(SEG),--segmentation "$(SEG)") $(if $(LIVER),--liver "$(LIVER)") $(if $(TUMOR),--tumor "$(TUMOR)")

test: $(STAMP)
	@sh Testing/tools/run_tests.sh $(PY) -m "not slow" $(PYTEST_ARGS)

test-slow: $(STAMP)
	@sh Testing/tools/run_tests.sh $(PY) -m slow $(PYTEST_ARGS)

# On a screen in a window of its own; VTK goes on drawing into memory, from where the window takes its pictures.
slicer-host: export QT_QPA_PLATFORM := $(if $(DISPLAY)$(WAYLAND_DISPLAY)$(filter-out Linux,$(shell uname -s)),,offscreen)
slicer-host: $(STAMP)
	@$(PY) -m host.window $(ARGS)

lint: $(STAMP)
	@status=0; $(PY) -m ruff check . || status=1; $(PY) -m ruff format --check . || status=1; exit $$status

types: $(STAMP)
	@$(PY) -m mypy

# The site's packages stay out of the environment that tests run in.
SITE := build/site-venv

$(SITE)/.ready: Testing/tools/site/requirements.txt
	@"$(PYTHON)" -m venv $(SITE) && $(SITE)/bin/pip install -q -r $< && touch $@

docs: $(SITE)/.ready
	@NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --quiet --strict -f Testing/tools/site/mkdocs.yml
	@echo "Read build/site/index.html."

coverage: $(STAMP)
	@rm -rf build/coverage && mkdir -p build/coverage
	@COVERAGE_FILE=$(CURDIR)/build/coverage/data COVERAGE=1 sh Testing/tools/run_tests.sh $(PY) -m "not slow" $(PYTEST_ARGS)
	@export COVERAGE_FILE=$(CURDIR)/build/coverage/data; $(PY) -m coverage combine -q && $(PY) -m coverage html -q -d build/coverage/html \
	  && $(PY) -m coverage report --skip-covered --sort=cover

fuzz: $(STAMP)
	@$(PY) -m fuzz $(ARGS)

bench: $(STAMP)
	@status=0; for script in $(sort $(wildcard Testing/benchmarks/*.py)); do \
	  echo "== $$script"; $(PY) "$$script" || status=1; done; exit $$status

gpu-check: $(STAMP)
	@$(PY) Testing/gpu/check.py $(ARGS)

owner:
	@$(PYTHON) Testing/tools/release.py --owner "$(OWNER)"

release-check:
	@$(PYTHON) Testing/tools/release.py

lists: $(STAMP)
	@$(PY) Testing/tools/cmake_lists.py --write
	@$(PY) Testing/tools/train_xml.py --write
	@$(PY) Testing/tools/api_page.py --write
	@$(PY) Testing/tools/error_page.py --write
	@$(PY) Testing/tools/configuration_page.py --write
	@$(PY) Testing/tools/format_pages.py --write

clean:
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis *.egg-info REACTKD/*.egg-info
