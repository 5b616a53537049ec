# make fuzz-build                       the fuzz targets, with clang's libFuzzer, ASan and UBSan
# make fuzz-short [FUZZ_SECONDS=10]     each of them for so long, beginning with the corpus in the tree
# make fuzz-corpus                      each of them over the corpus in the tree, once: part of make lint
# What is found stays in $(BUILD)/fuzz: new inputs in NAME/, and an input that breaks an invariant as NAME-crash-*.
FUZZ_CC      ?= clang
FUZZ_SECONDS ?= 10
FUZZ_NAMES    := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_PROGRAMS := $(FUZZ_NAMES:%=$(BUILD)/fuzz/fuzz_%)
# clang judges branches of constant tables that are never taken
FUZZ_CFLAGS   := -Wno-constant-conversion -std=gnu11 -g -O1 -fno-strict-aliasing -fno-omit-frame-pointer \
                 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

$(BUILD)/fuzz/fuzz_http1_%: tests/fuzz/fuzz_http1_%.c tests/fuzz/fuzz_http1.h $(wildcard base/http1*.[ch]) base/base.h
	@mkdir -p $(@D)
	$(FUZZ_CC) $(BASE_CPPFLAGS) $(FUZZ_CFLAGS) -o $@ $< $(filter base/%.c,$^)

$(BUILD)/fuzz/fuzz_proxy_proto: tests/fuzz/fuzz_proxy_proto.c $(wildcard base/proxy_proto.[ch] base/net*.[ch]) base/base.h
	@mkdir -p $(@D)
	$(FUZZ_CC) $(BASE_CPPFLAGS) $(FUZZ_CFLAGS) -o $@ $(filter %.c,$^)

$(BUILD)/fuzz/fuzz_http_cache: tests/fuzz/fuzz_http_cache.c base/http_cache.c base/http_date.c $(wildcard base/http_*.h) base/base.h
	@mkdir -p $(@D)
	$(FUZZ_CC) $(BASE_CPPFLAGS) $(FUZZ_CFLAGS) -o $@ $(filter %.c,$^)

$(BUILD)/fuzz/fuzz_client_hello: tests/fuzz/fuzz_client_hello.c base/client_hello.c base/client_hello.h base/base.h
	@mkdir -p $(@D)
	$(FUZZ_CC) $(BASE_CPPFLAGS) $(FUZZ_CFLAGS) -o $@ $(filter %.c,$^)

$(BUILD)/fuzz/fuzz_h2_fields: tests/fuzz/fuzz_h2_fields.c worker/h2_request.c worker/h2_text.c worker/h2_backend_text.c \
                              worker/h2_response.c worker/buf.c $(wildcard base/http1*.[ch] worker/*.h)
	@mkdir -p $(@D)
	$(FUZZ_CC) $(BASE_CPPFLAGS) $(FUZZ_CFLAGS) -o $@ $(filter %.c,$^) -lnghttp2 -lcrypto

$(BUILD)/fuzz/fuzz_broker: tests/fuzz/fuzz_broker.c proc/control.c tests/unit/broker/rig.h \
                           $(wildcard broker/*.[ch] shm/*.[ch] base/*.[ch])
	@mkdir -p $(@D)
	$(FUZZ_CC) $(BASE_CPPFLAGS) $(FUZZ_CFLAGS) -o $@ $(filter %.c,$^) -lev

$(BUILD)/fuzz/fuzz_conf: tests/fuzz/fuzz_conf.c shm/rate.c $(wildcard conf/*.[ch] base/*.[ch])
	@mkdir -p $(@D)
	$(FUZZ_CC) $(BASE_CPPFLAGS) $(FUZZ_CFLAGS) -o $@ $(filter %.c,$^) -lconfig -lssl -lcrypto -lpcre2-8 -lcrypt -ljansson

.PHONY: fuzz-build
fuzz-build: $(FUZZ_PROGRAMS)

.PHONY: fuzz-short
fuzz-short: $(FUZZ_NAMES:%=fuzz-run-%)

.PHONY: fuzz-corpus
fuzz-corpus: $(FUZZ_PROGRAMS)
	@for name in $(FUZZ_NAMES); do \
	    $(BUILD)/fuzz/fuzz_$$name -runs=0 -artifact_prefix=$(BUILD)/fuzz/$$name- tests/fuzz/corpus/$$name \
	        >$(BUILD)/fuzz/corpus.log 2>&1 || { cat $(BUILD)/fuzz/corpus.log; exit 1; }; \
	done
	@echo "fuzz: $(words $(FUZZ_NAMES)) corpora ok"

.PHONY: $(FUZZ_NAMES:%=fuzz-run-%)
$(FUZZ_NAMES:%=fuzz-run-%): fuzz-run-%: $(BUILD)/fuzz/fuzz_%
	@mkdir -p $(BUILD)/fuzz/$*
	$< -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=10 -print_final_stats=0 -verbosity=0 \
	    $(patsubst %,-dict=%,$(wildcard tests/fuzz/$(firstword $(subst _, ,$*)).dict)) \
	    -artifact_prefix=$(BUILD)/fuzz/$*- $(BUILD)/fuzz/$* tests/fuzz/corpus/$*
