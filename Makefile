# ballast: see README.md. Every target works on a fresh Debian 12; `make deps` installs what is missing.
#   make run     install what is needed, build, start the demo with its dashboard
#   make test    install what is needed, build, run every test (plain, then ASan+UBSan)

VERSION  := 0.1.0
BUILD    ?= build
CC       ?= gcc
PREFIX   ?= /usr/local
SAN      ?=

WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
        -Wpointer-arith -Wcast-qual -Wundef -Wvla -Werror
OPT  ?= -O2 -g
CPPFLAGS += -I. -D_GNU_SOURCE -DBALLAST_VERSION='"$(VERSION)"'
CFLAGS   += -std=gnu11 $(OPT) $(WARN) -fno-strict-aliasing -fno-omit-frame-pointer $(SAN)
LDFLAGS  += $(SAN)
LDLIBS   += -lev -lconfig -ljansson -lcrypto -lm

# Layers, lowest first. A folder becomes one static library; the link order is the layer order reversed.
LAYERS := base shm conf proc worker health admin cli master
SRCS   := $(foreach d,$(LAYERS),$(wildcard $(d)/*.c $(d)/*/*.c))
ASM    := $(wildcard admin/*.S)
OBJS   := $(SRCS:%.c=$(BUILD)/%.o) $(ASM:%.S=$(BUILD)/%.o)
LIBS   := $(foreach d,$(LAYERS),$(BUILD)/lib$(d).a)
REVLIBS := $(BUILD)/libmaster.a $(BUILD)/libcli.a $(BUILD)/libadmin.a $(BUILD)/libhealth.a \
           $(BUILD)/libworker.a $(BUILD)/libproc.a $(BUILD)/libconf.a $(BUILD)/libshm.a $(BUILD)/libbase.a

.PHONY: all
all: $(BUILD)/ballast

$(BUILD)/ballast: $(LIBS)
	$(CC) $(LDFLAGS) -o $@ -Wl,--whole-archive $(BUILD)/libmaster.a -Wl,--no-whole-archive $(REVLIBS) $(LDLIBS)

define layer_lib
$(BUILD)/lib$(1).a: $(patsubst %.c,$(BUILD)/%.o,$(wildcard $(1)/*.c $(1)/*/*.c)) $(patsubst %.S,$(BUILD)/%.o,$(wildcard $(1)/*.S))
	@mkdir -p $$(@D)
	@rm -f $$@
	ar rcs $$@ $$^
endef
$(foreach d,$(LAYERS),$(eval $(call layer_lib,$(d))))

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -MMD -MP -c -o $@ $<

-include $(OBJS:.o=.d)
