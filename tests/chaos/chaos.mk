# make chaos: faults against every kind of client, minutes; peers from Debian in the same run. tests/chaos/chaos.py --help
.PHONY: chaos
chaos:
	@.ci/deps build test
	@$(SUBMAKE) all
	@/usr/bin/python3 tests/chaos/chaos.py --program $(BUILD)/ballast --peers
