# model_mgr: PGXS build. `make help` lists the targets.
EXTENSION  = model_mgr
EXTVERSION = $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" model_mgr.control)

MODULE_big = model_mgr
CORE_SRCS  = $(sort $(wildcard src/core/*.c))
PG_SRCS    = $(sort $(wildcard src/pg/*.c))
OBJS       = $(CORE_SRCS:.c=.o) $(PG_SRCS:.c=.o)

SCRIPT     = model_mgr--$(EXTVERSION).sql
DATA_built = $(SCRIPT)
DATA       = $(wildcard sql/upgrade/model_mgr--*--*.sql)

TESTS         = $(sort $(wildcard test/sql/*.sql))
REGRESS       = $(patsubst test/sql/%.sql,%,$(TESTS))
REGRESS_OPTS  = --inputdir=test
ISOLATION     = $(patsubst test/specs/%.spec,%,$(sort $(wildcard test/specs/*.spec)))
ISOLATION_OPTS = --inputdir=test --outputdir=.

EXTRA_CLEAN = $(SCRIPT) results output_iso tmp_check

# No machine-dependent flags and no contraction: the same numbers everywhere.
# Hidden symbols: the server loads libraries with global names. PostgreSQL 15 leaves PGDLLEXPORT empty here, 16 defines it so.
PG_CPPFLAGS = -Isrc -DMODEL_MGR_VERSION='"$(EXTVERSION)"' '-DPGDLLEXPORT=__attribute__((visibility("default")))'
PG_CFLAGS   = -std=gnu11 -Wall -Wextra -Wno-unused-parameter -Wno-sign-compare -Wno-declaration-after-statement \
              -ffp-contract=off -fvisibility=hidden $(WERROR)
SHLIB_LINK  = -lm

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

$(SCRIPT): $(sort $(wildcard sql/[0-9]*.sql)) model_mgr.control
	{ printf '%s\n' '\echo Use "CREATE EXTENSION model_mgr" to load this file. \quit'; cat $(sort $(wildcard sql/[0-9]*.sql)); } > $@

$(OBJS): $(wildcard src/core/*.h src/pg/*.h) model_mgr.control
