# Two commands are all that a new user needs: `make demo` and `make test`. Both install what they need first.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= /usr/bin/python3
# The lab's tools, SSH, borg, rsync and sudo (its visudo) for control. Nothing here starts a service.
APT := python3-venv mmdebstrap systemd-container iproute2 nftables socat apt-utils openssh-client borgbackup rsync util-linux libsnmp40 sudo
# What WeasyPrint sets PDFs with, and a font for Chinese.
APT += libpango-1.0-0 libpangoft2-1.0-0 fontconfig fonts-noto-cjk
# Programs that tests compare with or check by; unpacked into .tools/, never installed, so that none is started.
TOOLS := prometheus prometheus-alertmanager prometheus-snmp-exporter snmp snmpd restic lynis
# Databases for the restore drills' tests, with the libraries that a plain Debian 12 lacks.
TOOLS += postgresql-15 postgresql-client-15 libpq5 pgbackrest mariadb-server-core mariadb-client mariadb-client-core
TOOLS += libmariadb3 libaio1 liburing2 libnuma1 libicu72 libxml2 libxslt1.1 libldap-2.5-0 libsasl2-2 libncurses6 libfaketime
# What tests look at our pages with: installed, since it needs some hundred libraries; it starts nothing by itself.
BROWSER := chromium fonts-dejavu-core
# What make test-long opens the reports' DOCX with.
OFFICE := libreoffice-writer-nogui
export PATH := $(CURDIR)/$(BIN):$(CURDIR)/.tools/usr/bin:$(CURDIR)/.tools/usr/sbin:$(PATH)
export EGOV_PROJECT := $(CURDIR)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Debian packages of this machine: those of $(1) that are missing.
define install
missing=$$({ dpkg-query -W -f='$${db:Status-Status} $${Package}\n' $(1) 2>/dev/null || :; } | awk '$$1=="installed"{print $$2}' | \
	  sort | comm -13 - <(printf '%s\n' $(1) | sort)); \
	if [ -n "$$missing" ]; then \
	  if [ "$$(id -u)" != 0 ]; then echo "error: Debian packages are missing and only root can install them: apt-get install" $$missing >&2; exit 2; fi; \
	  echo "== Debian packages:" $$missing; apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
endef

.PHONY: help setup demo test test-fast test-long lint bench bench-snmp bench-wall bench-drill bench-assess bench-converge lab-city dashboards goldens lock clean

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(VENV)/.ready ## Install what the project needs: Debian packages, then .venv from the lock
	@$(BIN)/python exporters/build_wheelhouse.py

$(VENV)/.ready: requirements-dev.lock pyproject.toml
	@. /etc/os-release && [ "$${ID:-}" = debian ] && [ "$${VERSION_ID:-}" = 12 ] || \
	  { echo "error: this needs Debian 12, and /etc/os-release says $${PRETTY_NAME:-something else}" >&2; exit 2; }
	@$(call install,$(APT))
	@echo "== Python environment: $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -qq --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install -qq --no-deps --no-build-isolation -e .
	@touch $@

.tools/.ready: Makefile
	@mkdir -p .tools/deb
	@echo "== Programs for tests: $(TOOLS)"
	@cd .tools/deb && for name in $(TOOLS); do ls $${name}_*.deb >/dev/null 2>&1 || apt-get download -qq $$name 2>/dev/null || \
	  { apt-get update -qq && apt-get download -qq $$name; }; done
	@for deb in .tools/deb/*.deb; do dpkg -x $$deb .tools; done
	@touch $@

.tools/.browser: Makefile
	@mkdir -p .tools
	@$(call install,$(BROWSER))
	@touch $@

demo: setup ## A small city on this machine: built, configured, measured, assessed, a restore proven
	@$(BIN)/python -m egovctl.demo

test: setup .tools/.ready .tools/.browser ## Everything CI runs: lint, unit, contract, golden, and the lab (needs root)
	@tests/run

test-fast: setup ## The tests that need no root, under a minute
	@$(BIN)/pytest -q -n 2 tests/unit tests/golden tests/contract/test_bad_plans.py

.tools/.office: Makefile
	@mkdir -p .tools
	@$(call install,$(OFFICE))
	@touch $@

test-long: setup .tools/.ready .tools/.browser .tools/.office ## What is too slow for every change
	@EGOV_LONG=1 $(BIN)/pytest -q tests

lint: setup ## ruff, mypy --strict, yamllint, ansible-lint
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/yamllint -s .
	@$(BIN)/ansible-lint --offline -q --strict playbooks

bench: setup .tools/.ready .tools/.browser ## Measurements against the named peers
	@for script in tests/bench/*.py tests/bench/wall tests/bench/snmp tests/bench/drill; do echo "== $$script"; $(BIN)/python $$script; done

bench-snmp: setup .tools/.ready ## What a scrape costs: our SNMP exporter against snmp_exporter (CASES=warm,steady ROUNDS=5; 25 minutes for all)
	@$(BIN)/python tests/bench/snmp --rounds $(or $(ROUNDS),5) --only "$(CASES)"

bench-wall: setup .tools/.ready .tools/.browser ## What the boards cost on 30 days of a city, and with 1,000 and 10,000 sites (ONLY=queries,paint; 60 minutes for all)
	@$(BIN)/python tests/bench/wall $(if $(ONLY),--only "$(ONLY)")

bench-drill: setup .tools/.ready ## What a file restore drill costs: against bare borg extract, restic beside it (ROUNDS=5; 6 minutes)
	@$(BIN)/python tests/bench/drill --rounds $(or $(ROUNDS),5)

bench-assess: setup .tools/.ready ## What the self-assessment notices of planted misconfigurations, Lynis beside it (root; ONLY=pam-open,...; an hour and more for all)
	@$(BIN)/python tests/bench/assess $(if $(ONLY),--only "$(ONLY)")

bench-converge: setup ## Many hosts brought to many files: ours, Ansible, mitogen, pyinfra (root; HOSTS=12 or 90; hours at 90)
	@$(BIN)/python tests/bench/converge --hosts $(or $(HOSTS),12)

lab-city: setup ## The whole city of inventories/wuwei on this machine: booted, converged, proven, with its figures (root)
	@$(BIN)/python tests/city

dashboards: setup ## Make dashboards/out/ anew from the signals and alerts
	@$(BIN)/python dashboards/build.py

goldens: setup ## Write the expected derived plans anew; read the difference before you commit it
	@EGOV_UPDATE_GOLDENS=1 $(BIN)/pytest -q tests/golden

UV := $(BIN)/uv pip compile -q --python-version 3.11 --no-strip-extras --generate-hashes --no-emit-index-url --no-header

lock: ## Pin the dependencies by hash (UPGRADE=-U takes newer versions)
	@$(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/pip install -q uv
	@$(UV) $(UPGRADE) --extra dev --extra build pyproject.toml -o requirements-dev.lock
	@$(UV) exporters/requirements.in -c requirements-dev.lock -o requirements-exporter.lock
	@for peer in mitogen pyinfra; do \
	  $(UV) $(UPGRADE) tests/bench/converge/requirements-$$peer.in -o tests/bench/converge/requirements-$$peer.lock; done
	@$(UV) $(UPGRADE) tests/bench/snmp/requirements-libraries.in -o tests/bench/snmp/requirements-libraries.lock

clean: ## Take the lab down and remove what was built (keeps .egov: keys, secrets, evidence)
	@[ ! -x $(BIN)/egovctl ] || [ "$$(id -u)" != 0 ] || $(BIN)/egovctl lab down
	@rm -rf build .tools .venv .mypy_cache .ruff_cache .pytest_cache
