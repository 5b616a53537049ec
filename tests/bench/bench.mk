# make bench [BENCH_ARGS="--short"]: ballast side by side with a blind relay and with Debian's nginx and HAProxy (bench.py).
# make bench-health: what checking 10,000 backends every 10 s costs (health.py).
BENCH_PROGRAMS := $(BUILD)/tests/bench/floor $(BUILD)/tests/bench/origin

$(BENCH_PROGRAMS): %: %.o
	$(LINK) -o $@ $<

.PHONY: bench-programs
bench-programs: $(BENCH_PROGRAMS)

.PHONY: bench
bench: all bench-programs
	@/usr/bin/python3 tests/bench/bench.py --build $(BUILD) $(BENCH_ARGS)

.PHONY: bench-health
bench-health: all bench-programs
	@/usr/bin/python3 tests/bench/health.py --build $(BUILD) $(BENCH_ARGS)
