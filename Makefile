# What one does with this tree. `make help` lists it; `make` tests and lints.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)

# How many inputs each fuzz target gets (or for how long, such as 20s; but Go's
# fuzzer at times fails when a time is over, with no input to show for it), and
# how long each benchmark of a package runs. More flags for callbench, such as
# BENCHFLAGS='-json out/bench.json'.
FUZZTIME   ?= 30000x
BENCHTIME  ?= 1s
BENCHFLAGS ?=
# How long the soak makes calls.
SOAKTIME   ?= 30s
# More flags for `go test`, such as TESTFLAGS='-run Lease -v'.
TESTFLAGS ?=

# Modules beside the one at the root: their dependencies are none of Farcall's.
NESTED := $(patsubst %/go.mod,%,$(filter-out tools/go.mod,$(wildcard test/*/go.mod bench/go.mod)))

LDFLAGS     := -s -w -X farcall.dev/internal/buildinfo.version=$(VERSION)
STATICCHECK := $(GO) tool -modfile=$(CURDIR)/tools/go.mod staticcheck

# Tools that are not Go's, which scripts/need.sh puts there when the system has none.
export PATH := $(CURDIR)/out/tools/bin:$(PATH)

.DEFAULT_GOAL := check

.PHONY: check
check: test lint ## test and lint (the default)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## build nameserver, daemon and client into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

.PHONY: demo
demo: build ## run a mesh, call across it, stop it
	@scripts/mesh.sh demo

.PHONY: up
up: build ## start the same mesh and leave it running
	@scripts/mesh.sh up

.PHONY: down
down: ## stop what `make up` started
	@scripts/mesh.sh down

.PHONY: test
test: export FARCALL_REQUIRE_ALL = 1
test: ## run all tests that need no containers, installing what they need
	scripts/need.sh promtool xmlrpc-peers
	$(GO) test -shuffle=on -timeout 10m $(TESTFLAGS) ./...
	@# Go's cache does not see that a test reads files of another module: -count=1.
	@set -e; for m in $(NESTED); do echo "cd $$m && go test ./..."; (cd $$m && $(GO) test -count=1 -timeout 10m $(TESTFLAGS) ./...); done

.PHONY: race
race: export FARCALL_REQUIRE_ALL = 1
race: ## run the tests under the race detector
	scripts/need.sh promtool gcc xmlrpc-peers
	CGO_ENABLED=1 $(GO) test -race -shuffle=on -timeout 15m $(TESTFLAGS) ./...

.PHONY: soak
soak: ## let a mesh whose connections break work for SOAKTIME, and look for leaks
	$(GO) test -count=1 -timeout 30m -v ./test/soak -soak.time $(SOAKTIME) $(TESTFLAGS)

.PHONY: lint
lint: ## go vet, gofmt, staticcheck, shellcheck
	scripts/need.sh shellcheck
	@unformatted=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')) && \
	  { test -z "$$unformatted" || { echo "not formatted (gofmt -w):"; echo "$$unformatted"; exit 1; }; }
	$(GO) vet -tags e2e ./...
	$(STATICCHECK) -tags e2e ./...
	@set -e; for m in $(NESTED); do echo "lint $$m"; (cd $$m && $(GO) vet ./... && $(STATICCHECK) ./...); done
	shellcheck .ci/run scripts/*.sh

.PHONY: laws
laws: ## hold the tree against the laws in laws_test.go
	$(GO) test -count=1 ./internal/laws
	$(GO) test -count=1 -run '^TestLaws' .

.PHONY: fuzz
fuzz: ## fuzz every decoder, FUZZTIME each
	scripts/fuzz.sh $(FUZZTIME)

.PHONY: bench
bench: ## compare calls with other libraries, for some minutes; writes docs/benchmarks.md
	cd bench && $(GO) run ./callbench -out ../docs $(BENCHFLAGS)

.PHONY: bench-quick
bench-quick: ## compare small calls only, in under a minute; ends with the ratios
	cd bench && $(GO) run ./callbench -quick $(BENCHFLAGS)

.PHONY: bench-packages
bench-packages: ## run the packages' own benchmarks, BENCHTIME each
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...
	@set -e; for m in $(NESTED); do (cd $$m && $(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./...); done

.PHONY: e2e
e2e: ## build the image and call across containers (needs Docker)
	scripts/need.sh docker busybox prometheus
	$(GO) test -tags e2e -count=1 -timeout 20m -v $(TESTFLAGS) ./test/e2e/...

.PHONY: image
image: ## build the container image farcall:VERSION
	docker build --build-arg VERSION=$(VERSION) -t farcall:$(VERSION) -t farcall:dev .

.PHONY: generate
generate: build ## write the files that are made from the source
	$(GO) generate ./...
	$(GO) test ./internal/telemetry -run Docs -update
	scripts/reference.sh nameserver >docs/nameserver.md
	scripts/reference.sh daemon >docs/daemon.md
	scripts/prometheusrule.sh >deploy/k8s/components/monitoring/prometheusrule.yaml

.PHONY: clean
clean: ## remove what make has built
	rm -rf bin out
