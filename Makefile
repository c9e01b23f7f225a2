# model_mgr: a PGXS build, and the targets of this project beside it. `make help` lists them.
EXTENSION  = model_mgr
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" model_mgr.control)

MODULE_big = model_mgr
CORE_SRCS  = $(sort $(wildcard src/core/*.c))
PG_SRCS    = $(sort $(wildcard src/pg/*.c))
OBJS       = $(CORE_SRCS:.c=.o) $(PG_SRCS:.c=.o)

SCRIPT     = model_mgr--$(EXTVERSION).sql
# Released scripts never change; the one from the last of them to here is made from both (see scripts/upgrade_script.pl).
RELEASED   = $(lastword $(shell ls sql/released | sed -n 's/^model_mgr--\([0-9.]*\)\.sql$$/\1/p' | sort -V))
UPGRADE    = model_mgr--$(RELEASED)--$(EXTVERSION).sql
DATA_built = $(SCRIPT) $(UPGRADE)
DATA       = $(wildcard sql/released/model_mgr--*.sql) scripts/model_mgr_environment.psql dashboards/model_mgr.psqlrc

TESTS         = $(sort $(wildcard test/sql/*.sql))
REGRESS       = $(patsubst test/sql/%.sql,%,$(TESTS))
REGRESS_OPTS  = --inputdir=test
ISOLATION     = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.

EXTRA_CLEAN = $(SCRIPT) $(UPGRADE) build results output_iso tmp_check

# No machine-dependent flags and no contraction: the same numbers everywhere.
# Hidden symbols: the server loads libraries with global names. PostgreSQL 15 leaves PGDLLEXPORT empty here, 16 defines it so.
PG_CPPFLAGS = -Isrc -DMODEL_MGR_VERSION='"$(EXTVERSION)"' '-DPGDLLEXPORT=__attribute__((visibility("default")))'
PG_CFLAGS   = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-declaration-after-statement \
              -ffp-contract=off -fvisibility=hidden $(WERROR)
SHLIB_LINK  = -lm

# Without the server's development files only the targets that fetch them (setup, test, demo, ...) work; the first
# goal stays `all` either way.
all:
PG_CONFIG ?= pg_config
PGXS := $(wildcard $(shell $(PG_CONFIG) --pgxs 2>/dev/null))
ifneq ($(PGXS),)
include $(PGXS)

# The server's flags and headers are made for the compiler that built it (gnu_printf is gcc's word).
ifneq ($(findstring clang,$(CC)),)
override CFLAGS += -Wno-ignored-optimization-argument -Wno-ignored-attributes -Wno-unknown-warning-option
endif

$(SCRIPT): $(sort $(wildcard sql/[0-9]*.sql)) model_mgr.control
	{ printf '%s\n' '\echo Use "CREATE EXTENSION model_mgr" to load this file. \quit'; cat $(sort $(wildcard sql/[0-9]*.sql)); } > $@

$(UPGRADE): $(SCRIPT) $(wildcard sql/released/*.sql sql/upgrade/*.sql) scripts/upgrade_script.pl
	perl scripts/upgrade_script.pl sql/released/model_mgr--$(RELEASED).sql $(SCRIPT) sql/upgrade/model_mgr--$(RELEASED)--$(EXTVERSION).first.sql \
		sql/upgrade/model_mgr--$(RELEASED)--$(EXTVERSION).last.sql > $@

$(OBJS): $(wildcard src/core/*.h src/pg/*.h) model_mgr.control
else
all install installcheck clean:
	@echo "The server's development files are missing ($(PG_CONFIG) --pgxs finds nothing):"; \
	echo "run 'make setup' (Debian), or set PG_CONFIG=/path/to/pg_config."; exit 1
endif

# Everything below sets up what it needs by itself; see the head of each script.
help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | awk -F '|' 'BEGIN { \
	    print "  make                 builds\n  make install         installs (root or sudo)\n  make installcheck    regression and isolation tests on a running server"} \
	    {printf "%-23s%s\n", $$1, $$2}'

setup: ## installs missing Debian packages (root or sudo)
	@scripts/setup all
demo: ## the story on 4,601 real e-mails, in a throw-away cluster; DEMO_KEEP=1 leaves it up
	@scripts/demo
test: ## set-up and every test; the last line is the sum. STAGES="unit regress" for some
	@scripts/test $(STAGES)
test-integrations: ## dashboards in a browser, exporters, SDKs, packages: fetches what they need
	@scripts/test integrations
soak: ## the long runs: hours of fuzzing, the cluster tests' long forms
	@scripts/soak
bench: ## each promised ratio with its baseline, as a table
	@scripts/bench
lint: ## formatter, cppcheck, shellcheck, plpgsql_check, catalogue
	@scripts/setup lint && scripts/lint
check-layers: ## src/core needs no server
	@scripts/check-layers
format: ## formats the C files in place
	clang-format-14 -i src/*/*.[ch] $(wildcard test/unit/*.[ch] test/fuzz/*.[ch])
results: ## takes results/ of the last test run as the expected output; read the diff
	@scripts/results
dist: ## the release as a zip file (of what is committed)
	scripts/check_meta.py META.json
	git archive --format=zip --prefix=model_mgr-$(EXTVERSION)/ -o $(DIST) HEAD
deb: ## Debian packages of the servers supported here, into the directory above (dpkg-buildpackage)
	pg_buildext updatecontrol && dpkg-buildpackage -us -uc -b
test-package: ## the zip and the Debian package; the latter installed and demoed in a clean chroot (root or sudo)
	@scripts/setup integrations && scripts/test-package
test-versions: ## builds and tests on PostgreSQL 16, 17, 18, where they can be had, each in a chroot (root or sudo)
	@scripts/test-versions

DIST       = model_mgr-$(EXTVERSION).zip

.PHONY: deb test-package test-versions help setup demo test test-integrations soak bench lint check-layers format results dist
