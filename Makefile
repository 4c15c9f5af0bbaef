# Every check and every generated file of this repository has a target here; plain `make` lists them.

BUF_VERSION    := v1.75.0
PROTOC_VERSION := 3.21.12
PROTOC_GEN_ES  := @bufbuild/protoc-gen-es@2.13.0

# buf runs from the Go module cache: as a tool of go.mod it would bring its 85 modules into ours.
BUF := go run github.com/bufbuild/buf/cmd/buf@$(BUF_VERSION)

# The contract as last released. `breaking` compares with it, so that a clone without history can.
RELEASED := proto/released.binpb

# Stubs are made here and then take the old ones' place as a whole: what has no .proto any more goes with them, and
# a generator that fails leaves the old ones alone.
STAGE := bin/generate

# Where a generator is missing, a developer goes on without that language, and CI stops.
# $(1) is what is skipped, $(2) what to install.
skip = @echo "$(1) skipped: install $(2)" >&2; [ "$$CI" != true ]

PROTOC_FOUND      = $(filter $(PROTOC_VERSION),$(shell protoc --version 2>/dev/null))
GRPC_PYTHON_FOUND = $(shell command -v grpc_python_plugin)
NPM_FOUND         = $(shell command -v npm)

PYTHON_NEEDS = protoc $(PROTOC_VERSION) and grpc_python_plugin (Debian 12: protobuf-compiler protobuf-compiler-grpc)
JS_NEEDS     = npm with Node.js 20 or later

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: tools
tools: ## Fetch the pinned buf and print its version
	@$(BUF) --version

.PHONY: generate
generate: generate-go generate-python generate-js ## Generate the stubs of all languages from proto/

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

.PHONY: check-generated
check-generated: generate ## Fail if gen/ is not what proto/ generates
	@changes=$$(git status --porcelain gen) || exit 1; \
	[ -z "$$changes" ] || { echo "$$changes"; echo "gen/ is out of date: run 'make generate' and commit it" >&2; exit 1; }

.PHONY: lint
lint: ## Lint the contract
	$(BUF) lint

.PHONY: breaking
breaking: ## Fail if the contract breaks the released one
	$(BUF) breaking proto --against $(RELEASED)

.PHONY: release-contract
release-contract: breaking ## Make the contract as it stands the released one
	$(BUF) build --exclude-source-info -o $(RELEASED)
