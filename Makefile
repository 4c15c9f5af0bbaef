# Every check and every generated file of this repository has a target here; plain `make` lists them.

BUF_VERSION         := v1.75.0
GOFUMPT_VERSION     := v0.12.0
STATICCHECK_VERSION := v0.8.2
GOVULNCHECK_VERSION := v1.9.0
PROTOC_VERSION      := 3.21.12
PROTOC_GEN_ES       := @bufbuild/protoc-gen-es@2.13.0

# buf runs from the Go module cache: as a tool of go.mod it would bring its 85 modules into ours.
BUF := go run github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)

# The contract as last released. `breaking` compares with it, so that a clone without history can.
RELEASED        := proto/released.binpb
RELEASED_SCHEMA := proto/released.schema.json
SCHEMA          := rotki-notifications.schema.json

# Stubs are made here and then take the old ones' place as a whole: what has no .proto any more goes with them, and
# a generator that fails leaves the old ones alone. The dot hides it from go build ./... .
STAGE := bin/.generate

# Where a generator is missing, a developer goes on without that language, and CI stops.
# $(1) is what is skipped, $(2) what to install.
skip = @echo "$(1) skipped: install $(2)" >&2; [ "$$CI" != true ]

PROTOC_FOUND      = $(filter $(PROTOC_VERSION),$(shell protoc --version 2>/dev/null))
GRPC_PYTHON_FOUND = $(shell command -v grpc_python_plugin)
NPM_FOUND         = $(shell command -v npm)

PYTHON_NEEDS = protoc $(PROTOC_VERSION) and grpc_python_plugin (Debian 12: protobuf-compiler protobuf-compiler-grpc)
JS_NEEDS     = npm with Node.js 20 or later

SHELL       := bash
.SHELLFLAGS := -o pipefail -c

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/rotki-bridge, a static binary
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/rotki-bridge

.PHONY: run
run: build ## Build the bridge and run it on its default addresses
	bin/rotki-bridge serve

.PHONY: demo
demo: build ## Start a bridge, publish one notification of each type, print the envelopes
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/demo
	bin/demo bin/rotki-bridge

# Everything is tested here, the publishers in other languages and the browser too. What a developer's machine lacks
# is skipped with a line that says what to install; with CI=true it is an error.
.PHONY: test
test: ## Run all tests with the race detector
	go test -race -timeout 15m -v ./... 2>&1 | $(brief)
	go test -race -tags portable ./bridge/delivery

# Of go test -v, which alone shows why a test was skipped: a line per package, and all of what failed or was skipped.
brief = awk '\
	/^=== RUN/ && !/\// { seen = "" } \
	{ seen = seen $$0 "\n" } \
	/^--- (FAIL|SKIP)/ || /^FAIL\t/ { printf "%s", seen; seen = "" } \
	/^--- PASS/ { seen = "" } \
	/^(ok|\?) / { print; seen = "" }'

FUZZ_TIME := 10s

# Before Go 1.27 a target that has found nothing may end with "context deadline exceeded" when its time is up
# (go.dev/issue/75804). What it finds, it says otherwise.
.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZ_TIME
	@mkdir -p bin; set -e; for package in $$(go list ./...); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			if ! go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_TIME) -fuzzminimizetime 20x $$package 2>&1 \
				| tee bin/fuzz.log; then \
				grep -qx '    context deadline exceeded' bin/fuzz.log || exit 1; \
				! grep -Eq 'Failing input|_test\.go:|panic:' bin/fuzz.log || exit 1; \
				echo "$$target has found nothing in its time (go.dev/issue/75804)"; \
			fi; \
		done; \
	done

# What bench.json holds is what the table is made of. BENCH takes further flags: make bench BENCH='--only storm,idle'.
.PHONY: bench
bench: build ## Measure the bridge beside servers that do no more than they must (Linux, twenty minutes)
	CGO_ENABLED=0 go build -trimpath -o bin/ ./cmd/bench
	bin/bench run --bridge bin/rotki-bridge --json bin/bench.json $(BENCH)

# What is lost when things are killed at random moments; a few kills of each kind are part of `make test`.
.PHONY: kill
kill: ## Kill bridges and NATS servers 100 times each, and cut off a browser 50 times (ten minutes)
	go test -v -count=1 -timeout 60m -run 'TestKilled(Bridge|Replicas)' ./cmd/rotki-bridge -kills 100
	go test -v -count=1 -timeout 30m -run TestBrowserCut ./bridge -cuts 50

.PHONY: microbench
microbench: ## Run the Go benchmarks, in the form that benchstat reads
	go test -run '^$$' -bench . -benchmem ./...

.PHONY: check
check: format-check vet staticcheck lint breaking check-generated ## Run every check that is no test

.PHONY: format-check
format-check: ## Fail if a Go file is not formatted by gofumpt
	@files=$$(go run mvdan.cc/gofumpt@$(GOFUMPT_VERSION) -l bridge client cmd proto) || exit 1; \
	[ -z "$$files" ] || { echo "$$files"; echo "not formatted: run gofumpt -w on them" >&2; exit 1; }

.PHONY: vet
vet: ## Run go vet, and build for the systems without the Linux code
	go vet ./...
	GOOS=darwin go vet ./bridge/... ./client/... ./cmd/rotki-bridge ./cmd/bench
	GOOS=windows CGO_ENABLED=0 go build -o bin/rotki-bridge.exe ./cmd/rotki-bridge

.PHONY: staticcheck
staticcheck: ## Run staticcheck
	go run honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION) ./...

# No part of `check`: it asks https://vuln.go.dev, which is not to be had wherever this is tested, and says something new
# without any change here. VULN_DB names another copy of that database: make vulncheck VULN_DB=file:///srv/vulndb
VULN_DB := https://vuln.go.dev

.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what the code calls (asks vuln.go.dev; before a release)
	go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) -db $(VULN_DB) ./...

.PHONY: tools
tools: ## Fetch the pinned tools, so that they are there without a network
	@$(BUF) --version
	@go run mvdan.cc/gofumpt@$(GOFUMPT_VERSION) -version
	@go run honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK_VERSION) -version

.PHONY: generate
generate: generate-go generate-python generate-js generate-contract ## Generate all of gen/ from proto/

.PHONY: generate-go
generate-go: ## Generate gen/go
	rm -rf $(STAGE)/go
	$(BUF) generate -o $(STAGE)/go
	rm -rf gen/go
	mv $(STAGE)/go/gen/go gen/go

.PHONY: generate-python
generate-python: ## Generate gen/python, with Debian's protoc
	$(if $(and $(PROTOC_FOUND),$(GRPC_PYTHON_FOUND)),$(python_stubs),$(call skip,Python stubs,$(PYTHON_NEEDS)))

# buf resolves the imports, because Debian has google/protobuf/*.proto in a package of its own.
define python_stubs
rm -rf $(STAGE)/python
mkdir -p $(STAGE)/python
$(BUF) build -o $(STAGE)/contract.binpb
protoc --descriptor_set_in=$(STAGE)/contract.binpb \
	--python_out=$(STAGE)/python --pyi_out=$(STAGE)/python \
	--plugin=protoc-gen-grpc_python=$(GRPC_PYTHON_FOUND) --grpc_python_out=$(STAGE)/python \
	$(shell cd proto && find rotki -name '*.proto' | sort)
rm -rf gen/python
mv $(STAGE)/python gen/python
endef

.PHONY: generate-js
generate-js: ## Generate gen/es/rotki, with npm's protoc-gen-es
	$(if $(NPM_FOUND),$(js_stubs),$(call skip,JavaScript stubs,$(JS_NEEDS)))

define js_stubs
rm -rf $(STAGE)/es
$(BUF) generate proto -o $(STAGE)/es --template '{"version": "v2", "plugins": [{"out": ".", \
	"local": ["npm", "exec", "--yes", "--package=$(PROTOC_GEN_ES)", "--", "protoc-gen-es"], \
	"opt": ["target=js+dts", "import_extension=js"]}]}'
rm -rf gen/es/rotki
mv $(STAGE)/es/rotki gen/es/rotki
endef

# Our own plugin is built from gen/go, which therefore comes first; it does not import gen/contract.
.PHONY: generate-contract
generate-contract: generate-go ## Generate gen/contract (JSON Schema, AsyncAPI, TypeScript) and the README's table
	rm -rf $(STAGE)/contract
	$(call contract_documents,$(STAGE)/contract)
	$(BUF) build proto --as-file-descriptor-set -o $(STAGE)/contract/contract.binpb
	rm -rf gen/contract
	mv $(STAGE)/contract gen/contract
	go run ./cmd/rotki-bridge types markdown README.md

# $(1) is the folder to write to. With -trimpath the tests' copies of the repository share one build.
contract_documents = $(BUF) generate proto -o $(1) --template '{"version": "v2", "plugins": [{"out": ".", \
	"strategy": "all", "local": ["go", "run", "-trimpath", "./cmd/protoc-gen-rotki-contract"]}]}'

.PHONY: check-generated
check-generated: generate ## Fail if gen/ or the README's table is not what proto/ generates
	@changes=$$(git status --porcelain gen README.md) || exit 1; \
	[ -z "$$changes" ] || { echo "$$changes"; echo "out of date: run 'make generate' and commit it" >&2; exit 1; }

.PHONY: lint
lint: ## Lint the contract
	$(BUF) lint

# buf guards what publishers see, contract-diff what frontends see: the wire options decide that, and buf skips them.
.PHONY: breaking
breaking: ## Fail if the contract breaks the released one, as protobuf or as JSON
	$(BUF) breaking proto --against $(RELEASED)
	rm -rf $(STAGE)/breaking
	$(call contract_documents,$(STAGE)/breaking)
	go run -trimpath ./cmd/contract-diff $(RELEASED_SCHEMA) $(STAGE)/breaking/$(SCHEMA)

.PHONY: release-contract
release-contract: breaking ## Make the contract as it stands the released one
	$(BUF) build --exclude-source-info -o $(STAGE)/breaking/released.binpb
	mv $(STAGE)/breaking/released.binpb $(RELEASED)
	mv $(STAGE)/breaking/$(SCHEMA) $(RELEASED_SCHEMA)
