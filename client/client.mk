# libballast-client: the client library, shared and static, and its example. Included by the Makefile.
# The objects are position independent and hide everything but what ballast_client.h declares; what they need of the
# layers below comes from archives of the same kind, so that only what is used goes in.
CLIENT_SONAME := libballast-client.so.0
CLIENT_SO     := $(BUILD)/libballast-client.so
CLIENT_A      := $(BUILD)/libballast-client.a
CLIENT_FLAGS  := -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections
CLIENT_OBJECTS := $(patsubst %.c,$(BUILD)/pic/%.o,$(call source_of,client))
CLIENT_BELOW   := $(patsubst %.c,$(BUILD)/pic/%.o,$(wildcard worker/lb/*.c) $(call source_of,shm) $(call source_of,base))

.PHONY: client
client: $(CLIENT_SO) $(CLIENT_A) $(BUILD)/client/example

$(BUILD)/pic/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<) $(COMPILE) $(CLIENT_FLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/pic/below.a: $(CLIENT_BELOW)
	@rm -f $@
	$(call say,AR,$@) $(AR) rcs $@ $^

# -z defs: nothing but libc may be missing.
$(BUILD)/$(CLIENT_SONAME): $(CLIENT_OBJECTS) $(BUILD)/pic/below.a
	$(call say,LINK,$@) $(LINK) -shared -Wl,-soname,$(CLIENT_SONAME) -Wl,--gc-sections -Wl,--exclude-libs,ALL \
		$(if $(SAN),,-Wl$(comma)-z$(comma)defs) -o $@ $^

$(CLIENT_SO): $(BUILD)/$(CLIENT_SONAME)
	@ln -sf $(CLIENT_SONAME) $@

# One object whose only global names are those of the header: an archive must not clash with the program's own.
$(CLIENT_A): $(CLIENT_OBJECTS) $(BUILD)/pic/below.a
	@rm -f $@
	@$(CC) -r -nostdlib -o $(BUILD)/pic/client.o $(CLIENT_OBJECTS) $(BUILD)/pic/below.a
	@objcopy --wildcard --keep-global-symbol='ballast_*' $(BUILD)/pic/client.o
	$(call say,AR,$@) $(AR) rcs $@ $(BUILD)/pic/client.o

$(BUILD)/client/example $(BUILD)/tests/func/client_driver: $(BUILD)/%: $(BUILD)/%.o $(CLIENT_A)
	$(call say,LINK,$@) $(LINK) -o $@ $^

-include $(CLIENT_OBJECTS:.o=.d) $(CLIENT_BELOW:.o=.d) $(BUILD)/client/example.d $(BUILD)/tests/func/client_driver.d
