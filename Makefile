# Everything goes module by module with GOWORK=off: a workspace would build the
# root with dependency versions that no user of it gets.

GOLANGCI_LINT_VERSION ?= v2.12.2
FUZZTIME              ?= 10s
# For how long soak goes on.
DURATION              ?= 10m
# SEEDS is how many fleets sim plays. HOLDFAST_SEED=n plays the one of that seed.
SEEDS                 ?= 1000
# ARGS goes to `go test` in test, race, bench and sim, to the demo in demo, and to the program in mutants and trips.
ARGS                  ?=

# Every folder with a go.mod, found and not listed: a new module cannot be forgotten.
MODULES := $(sort $(shell find . -name go.mod -not -path '*/.*/*' -not -path '*/testdata/*' -exec dirname {} \;))

# The linter is built once for each version of itself and of Go, and never taken from the PATH.
GOLANGCI_LINT ?= $(CURDIR)/.bin/golangci-lint-$(GOLANGCI_LINT_VERSION)-$(shell go env GOVERSION)

# The linter remembers what it found together with where the file was, so that two
# checkouts with one cache would be told each other's paths, which no exception matches.
export GOLANGCI_LINT_CACHE := $(CURDIR)/.bin/lint-cache

export GOWORK := off

# $(call in-each-module,command) stops at the first module in which the command fails.
in-each-module = $(call in-modules,$(MODULES),$(1))
in-modules = @set -e; for module in $(1); do echo "== $$module"; (cd $$module && $(2)); done

.DEFAULT_GOAL := help
.PHONY: help test race lint fix-check tidy fuzz bench mutants faults histories sim soak trips ci demo

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: ## all tests of all modules, with a real Redis and without a C compiler
	$(call in-each-module,CGO_ENABLED=0 $(CURDIR)/scripts/with-redis go test -count=1 $(ARGS) ./...)

# What these two run is raced where it lives: they compare peers, and read what was scraped.
UNRACED := ./bench ./integration/scrape

race: ## the same under the race detector (needs a C compiler)
	$(call in-modules,$(filter-out $(UNRACED),$(MODULES)),CGO_ENABLED=1 $(CURDIR)/scripts/with-redis go test -race -count=1 $(ARGS) ./...)

lint: $(GOLANGCI_LINT) ## the linter, at the pinned version, built on first use
	@$(GOLANGCI_LINT) config verify
	$(call in-each-module,$(GOLANGCI_LINT) run ./...)

fix-check: ## fail if `go fix` would change a file
	$(call in-each-module,$(CURDIR)/scripts/fix-check)

tidy: ## bring go.mod and go.sum of each module up to date; the nested ones follow the root
	$(call in-each-module,go mod tidy)

fuzz: ## run each fuzz target for FUZZTIME (default 10s)
	$(call in-each-module,$(CURDIR)/scripts/with-redis $(CURDIR)/scripts/fuzz $(FUZZTIME))

bench: ## all benchmarks; ARGS='-benchtime 3s' passes flags on
	$(call in-each-module,$(CURDIR)/scripts/with-redis go test -run '^$$' -bench . -benchmem $(ARGS) ./...)

mutants: ## put known bugs back, one at a time: fail if no test notices; ARGS='-run bill' picks some
	@cd integration && CGO_ENABLED=0 $(CURDIR)/scripts/with-redis go run ./mutants $(ARGS)

sim: ## simulated fleets, drawn from seeds: SEEDS=5000 plays more than the default 1000
	@cd fleet && HOLDFAST_SEEDS=$(SEEDS) go test -count=1 -timeout 0 -run '^TestSimulated(Fleets|FleetsLend|Bulkheads|Breakers|Overrides)$$' $(ARGS)

ci: ## exactly what CI runs
	@bash .ci/run

faults: ## break Redis, networks and replicas in every known way; ARGS=pattern picks rows
	@cd integration && ../scripts/with-redis ../scripts/faults '$(ARGS)'

soak: ## mixed load and faults for DURATION (default 10m): fail if memory, goroutines, connections or keys grow
	@cd integration && ../scripts/with-redis go run ./soak -duration '$(DURATION)'

trips: ## how soon 16 processes know of a trip; ARGS='-deaf -trips 20' loses every push
	@cd integration && ../scripts/with-redis go run ./trips $(ARGS)

histories: ## 200,000 calls of eight processes through every fault, judged by porcupine; a short run is part of test
	@cd integration && HOLDFAST_HISTORIES=long ../scripts/with-redis go test -count=1 -timeout 15m -v -run '^TestHistories$$' ./histories $(ARGS)

demo: ## a fleet of processes sharing one limit and one breaker; ARGS='--help' lists its flags
	@go run ./cmd/holdfast demo $(ARGS)

$(CURDIR)/.bin/golangci-lint-%:
	@echo "building golangci-lint $(GOLANGCI_LINT_VERSION); this takes some minutes, once"
	@mkdir -p $(@D)
	GOBIN=$(@D) GOFLAGS= CGO_ENABLED=0 go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	@mv $(@D)/golangci-lint $@
