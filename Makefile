# ballast: see README.md. Every target works on a fresh Debian 12; what is missing is installed by `make deps`.
#   make run      install what is needed, build, start the demo with its dashboard
#   make test     install what is needed, build, run every test (plain, then under ASan and UBSan)
#   make lint     the rules of CONTRIBUTING.md
#   make check-unit, make check-func [T=tests/func/test_x.py]     one kind of test, one build

VERSION := 0.1.0
BUILD   ?= build
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
SAN     ?=
OPT     ?= -O2 -g
JOBS    ?= $(shell nproc)

DESTDIR    ?=
PREFIX     ?= /usr/local
SBINDIR    ?= $(PREFIX)/sbin
SHAREDIR   ?= $(PREFIX)/share
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
# where libraries are, if elsewhere: /usr/lib/x86_64-linux-gnu
CLIENTDIR  ?= $(LIBDIR)
SYSCONFDIR ?= /etc

# make V=1 shows whole command lines.
comma := ,
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $(2);)
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
        -Wpointer-arith -Wcast-qual -Wundef -Wvla -Werror
HARDEN := $(if $(SAN),,-fstack-protector-strong -D_FORTIFY_SOURCE=2)
BASE_CPPFLAGS := -I. -D_GNU_SOURCE -DBALLAST_VERSION='"$(VERSION)"'
BASE_CFLAGS   := -std=gnu11 $(WARN) -fno-strict-aliasing -fno-omit-frame-pointer
COMPILE = $(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) $(BASE_CFLAGS) $(OPT) $(HARDEN) $(CFLAGS) $(SAN)
LINK    = $(CC) $(OPT) $(LDFLAGS) $(SAN) -Wl,--as-needed -Wl,-z,relro,-z,now
LDLIBS += -lev -lconfig -ljansson -lnghttp2 -lpcre2-8 -lcares -lcrypt -luring -lz -lbrotlienc -lzstd -lssl -lcrypto -lm

# ---- the program -------------------------------------------------------------------------------------------------
# Layers, lowest first. A folder becomes one static library; a program links the libraries from its own layer down.
LAYERS := base shm conf proc worker health admin broker cli master client
source_of  = $(filter-out client/example.c,$(wildcard $(1)/*.c $(1)/*/*.c $(1)/*.S))
objects_of = $(addprefix $(BUILD)/,$(addsuffix .o,$(basename $(call source_of,$(1)))))
OBJECTS   := $(foreach layer,$(LAYERS),$(call objects_of,$(layer)))

# What a layer may link, itself first. Folders on one level do not see each other.
BELOW_base   := base
BELOW_shm    := shm base
BELOW_conf   := conf $(BELOW_shm)
BELOW_proc   := proc $(BELOW_conf)
BELOW_worker := worker $(BELOW_proc)
BELOW_health := health $(BELOW_proc)
BELOW_admin  := admin $(BELOW_proc)
BELOW_broker := broker $(BELOW_proc)
# cli sees the algorithms in worker/lb, for `ballast explain`
BELOW_cli    := cli worker $(BELOW_proc)
# the client library: not part of the program, only what it asks
BELOW_client := client worker shm base
BELOW_master := master cli admin broker health worker $(BELOW_proc)
libraries_of = $(patsubst %,$(BUILD)/lib%.a,$(BELOW_$(1)))

.PHONY: all
all: $(BUILD)/ballast client $(BUILD)/tests/func/client_driver

$(BUILD)/ballast: $(BUILD)/master/main.o $(call libraries_of,master)
	$(call say,LINK,$@) $(LINK) -o $@ $^ $(LDLIBS)

define layer_rule
$(BUILD)/lib$(1).a: $(call objects_of,$(1))
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR,$$@) $(AR) rcs $$@ $$^
endef
$(foreach layer,$(LAYERS),$(eval $(call layer_rule,$(layer))))

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<) $(COMPILE) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.S $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,AS,$<) $(CC) $(BASE_CPPFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

# What .incbin reads is not in the dependency files.
$(addprefix $(BUILD)/,$(addsuffix .o,$(basename $(wildcard admin/*.S)))): $(wildcard admin/*.html)

# Other flags, other objects: the file changes only when the flags do.
.PHONY: always
$(BUILD)/flags: always
	@mkdir -p $(@D)
	@printf '%s\n' "$(subst ",,$(COMPILE))" | cmp -s - $@ || printf '%s\n' "$(subst ",,$(COMPILE))" > $@

# ---- unit tests: tests/unit/<layer>/test_<name>.c, one program each, linked with that layer and those below ------------
UNIT_TESTS := $(wildcard tests/unit/*/test_*.c tests/unit/*/*/test_*.c)
UNIT_PROGRAMS := $(UNIT_TESTS:%.c=$(BUILD)/%)

define unit_rule
$(patsubst %.c,$(BUILD)/%,$(filter tests/unit/$(1)/%,$(UNIT_TESTS))): $(BUILD)/%: $(BUILD)/%.o $(call libraries_of,$(1))
	$$(call say,LINK,$$@) $(LINK) -o $$@ $$^ $(LDLIBS)
endef
$(foreach layer,$(LAYERS),$(eval $(call unit_rule,$(layer))))

.PHONY: unit-programs
unit-programs: $(UNIT_PROGRAMS)

# Prints the generated tables of the docs.
$(BUILD)/tests/lint/print: $(BUILD)/tests/lint/print.o $(call libraries_of,master)
	$(call say,LINK,$@) $(LINK) -o $@ $^ $(LDLIBS)

include client/client.mk
-include tests/fuzz/fuzz.mk
-include tests/bench/bench.mk
-include tests/chaos/chaos.mk
-include $(OBJECTS:.o=.d) $(UNIT_PROGRAMS:%=%.d) $(BUILD)/tests/lint/print.d

# ---- targets -----------------------------------------------------------------------------------------------------
# A make of our own, in parallel unless the caller said how.
SUBMAKE = $(MAKE) --no-print-directory $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))
SANITIZE := BUILD=build-asan SAN="-fsanitize=address,undefined -fno-sanitize-recover=all" OPT="-O1 -g"

.PHONY: deps
deps:
	@.ci/deps build test lint

.PHONY: run
run:
	@.ci/deps build
	@$(SUBMAKE) all
	$(BUILD)/ballast demo

.PHONY: test
test:
	@.ci/deps build test
	@$(SUBMAKE) all unit-programs bench-programs
	@$(SUBMAKE) $(SANITIZE) all unit-programs bench-programs
	@/usr/bin/python3 tests/run.py $(BUILD) build-asan

.PHONY: check-unit
check-unit: unit-programs
	@/usr/bin/python3 tests/run.py --unit $(BUILD)

.PHONY: check-func
check-func: all bench-programs
	@/usr/bin/python3 tests/run.py --func $(BUILD) $(T)

.PHONY: asan
asan:
	@$(SUBMAKE) $(SANITIZE) all unit-programs bench-programs

.PHONY: release
release:
	@$(SUBMAKE) BUILD=build-release OPT="-O3 -g -flto=auto" AR=gcc-ar all

.PHONY: lint
lint:
	@.ci/deps build lint
	@$(SUBMAKE) all $(BUILD)/tests/lint/print
	@/usr/bin/python3 tests/lint/selftest.py
	@/usr/bin/python3 tests/lint/lint.py --build $(BUILD) -- $(BASE_CPPFLAGS) $(BASE_CFLAGS)
	@$(SUBMAKE) fuzz-corpus

# Rewrites the tables in the docs that the program itself prints.
.PHONY: docs
docs: all $(BUILD)/tests/lint/print
	@/usr/bin/python3 tests/lint/lint.py --build $(BUILD) --write-docs
	@/usr/bin/python3 pkg/man/generate.py $(BUILD)/ballast

.PHONY: format
format:
	clang-format -i $(shell git ls-files '*.c' '*.h')

# put(mode, file, directory, name): installs one file; the program is called by the path it gets.
define put
	@install -d $(DESTDIR)$(3)
	sed 's|/usr/sbin/ballast|$(SBINDIR)/ballast|g' $(2) > $(DESTDIR)$(3)/$(4)
	@chmod $(1) $(DESTDIR)$(3)/$(4)

endef

.PHONY: install
install: all install-client
	@install -d $(DESTDIR)$(SBINDIR)
	install -m 755 $(BUILD)/ballast $(DESTDIR)$(SBINDIR)/ballast
	$(call put,644,pkg/man/ballast.8,$(SHAREDIR)/man/man8,ballast.8)
	$(call put,644,pkg/man/ballast.conf.5,$(SHAREDIR)/man/man5,ballast.conf.5)
	$(call put,644,pkg/completion/ballast.bash,$(SHAREDIR)/bash-completion/completions,ballast)
	$(call put,644,pkg/completion/ballast.zsh,$(SHAREDIR)/zsh/site-functions,_ballast)
	$(call put,644,pkg/completion/ballast.fish,$(SHAREDIR)/fish/vendor_completions.d,ballast.fish)
	$(call put,644,pkg/systemd/ballast.service,$(LIBDIR)/systemd/system,ballast.service)
	$(call put,644,pkg/systemd/ballast.sysusers,$(LIBDIR)/sysusers.d,ballast.conf)
	$(call put,755,pkg/openrc/ballast,$(SYSCONFDIR)/init.d,ballast)
	$(call put,644,pkg/ballast.conf,$(SHAREDIR)/ballast,ballast.conf)
	$(call put,644,pkg/logrotate/ballast,$(SHAREDIR)/ballast,logrotate)
	$(call put,644,pkg/prometheus/ballast.rules.yml,$(SHAREDIR)/ballast,prometheus.rules.yml)
	$(call put,644,pkg/grafana/ballast.json,$(SHAREDIR)/ballast,grafana-dashboard.json)

# What programs that use the client library need.
.PHONY: install-client
install-client: all
	@install -d $(DESTDIR)$(CLIENTDIR)/pkgconfig
	install -m 755 $(BUILD)/libballast-client.so.0 $(DESTDIR)$(CLIENTDIR)/libballast-client.so.$(VERSION)
	@ln -sf libballast-client.so.$(VERSION) $(DESTDIR)$(CLIENTDIR)/libballast-client.so.0
	@ln -sf libballast-client.so.0 $(DESTDIR)$(CLIENTDIR)/libballast-client.so
	install -m 644 $(BUILD)/libballast-client.a $(DESTDIR)$(CLIENTDIR)/libballast-client.a
	@install -d $(DESTDIR)$(INCLUDEDIR) $(DESTDIR)$(SHAREDIR)/ballast
	install -m 644 client/ballast_client.h $(DESTDIR)$(INCLUDEDIR)/ballast_client.h
	$(call put,644,pkg/man/ballast_client.3,$(SHAREDIR)/man/man3,ballast_client.3)
	install -m 644 client/ballast_client.py $(DESTDIR)$(SHAREDIR)/ballast/ballast_client.py
	sed 's|@INCLUDEDIR@|$(INCLUDEDIR)|; s|@LIBDIR@|$(CLIENTDIR)|; s|@VERSION@|$(VERSION)|' client/ballast-client.pc.in \
		> $(DESTDIR)$(CLIENTDIR)/pkgconfig/ballast-client.pc
	@chmod 644 $(DESTDIR)$(CLIENTDIR)/pkgconfig/ballast-client.pc

# Debian packages of the tree as it is, into $(BUILD)/deb. Nothing is fetched once `.ci/deps build deb` was run.
DEB := $(BUILD)/deb/ballast-$(VERSION)
.PHONY: deb
deb:
	@.ci/deps build deb
	@rm -rf $(BUILD)/deb
	@install -d $(DEB)
	@tar -c --exclude-vcs --exclude=./build --exclude='./build-*' --exclude=__pycache__ . | tar -x -C $(DEB)
	@cp -r pkg/debian $(DEB)/debian
	cd $(DEB) && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS dpkg-buildpackage -us -uc -b $(DEBFLAGS)
	@ls $(BUILD)/deb/*.deb

.PHONY: clean
clean:
	rm -rf $(BUILD) build-asan build-release
