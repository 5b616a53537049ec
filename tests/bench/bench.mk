# make bench [BENCH_ARGS="--short"]: ballast side by side with a blind relay and with nginx, HAProxy and h2o, which it installs.
# make bench-growth: what grows with backends, routes, connections and reloads.
# make bench-dns: what a DNS query costs through ballast, through a blind relay and through nginx.
# make bench-udp: holds 100,000 sessions of datagrams.
# make bench-flows: what a datagram of a long flow costs.
# make bench-health: what checking 10,000 backends every 10 s costs.
# make bench-http1: nanoseconds per message head.
# make bench-pick: nanoseconds per pick for each algorithm.
# make bench-client: nanoseconds per pick of the client library.
# make bench-route: nanoseconds per routing decision in tables of 10 to 10,000 routes.
BENCH_PROGRAMS := $(BUILD)/tests/bench/floor $(BUILD)/tests/bench/origin $(BUILD)/tests/bench/handshakes \
	$(BUILD)/tests/bench/datagrams $(BUILD)/tests/bench/flows

$(BENCH_PROGRAMS): %: %.o
	$(LINK) -o $@ $< $(if $(findstring handshakes,$@),-lssl -lcrypto)

$(BUILD)/tests/bench/bench_http1: $(BUILD)/tests/bench/bench_http1.o $(BUILD)/libbase.a
	$(LINK) -o $@ $^

.PHONY: bench-programs
bench-programs: $(BENCH_PROGRAMS)

$(BUILD)/tests/bench/bench_pick: $(BUILD)/tests/bench/bench_pick.o $(BUILD)/libworker.a $(BUILD)/libshm.a $(BUILD)/libbase.a
	$(LINK) -o $@ $^

$(BUILD)/tests/bench/bench_client: $(BUILD)/tests/bench/bench_client.o $(call libraries_of,client)
	$(LINK) -o $@ $^

$(BUILD)/tests/bench/bench_route: $(BUILD)/tests/bench/bench_route.o $(call libraries_of,conf)
	$(LINK) -o $@ $^ $(LDLIBS)

.PHONY: bench-route
bench-route: $(BUILD)/tests/bench/bench_route
	@$<

.PHONY: bench-client
bench-client: $(BUILD)/tests/bench/bench_client
	@$<

.PHONY: bench-pick
bench-pick: $(BUILD)/tests/bench/bench_pick
	@$<

.PHONY: bench
bench: all bench-programs
	@.ci/deps bench
	@/usr/bin/python3 tests/bench/bench.py --build $(BUILD) $(BENCH_ARGS)

.PHONY: bench-growth
bench-growth: all bench-programs
	@/usr/bin/python3 tests/bench/growth.py --build $(BUILD) $(BENCH_ARGS)

.PHONY: bench-dns bench-udp bench-flows
bench-flows: all bench-programs
	@/usr/bin/python3 tests/bench/udp_flows.py --build $(BUILD) $(BENCH_ARGS)

bench-dns: all bench-programs
	@/usr/bin/python3 tests/bench/dns.py --build $(BUILD) $(BENCH_ARGS)

bench-udp: all
	@/usr/bin/python3 tests/bench/udp_sessions.py --build $(BUILD) $(BENCH_ARGS)

.PHONY: bench-health
bench-health: all bench-programs
	@/usr/bin/python3 tests/bench/health.py --build $(BUILD) $(BENCH_ARGS)

.PHONY: bench-http1
bench-http1: $(BUILD)/tests/bench/bench_http1
	@$<

-include $(BENCH_PROGRAMS:%=%.d) $(BUILD)/tests/bench/bench_http1.d $(BUILD)/tests/bench/bench_pick.d $(BUILD)/tests/bench/bench_route.d $(BUILD)/tests/bench/bench_client.d
