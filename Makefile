# All developer tasks. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help run up down status logs clean build test test-release audit check fmt bench chaos fuzz verify token sqlx generate sam-invoke sam-api test-sam test-localstack image deploy cost

# Build profile: `debug` builds in a third of the time.
BUILD ?= debug
CARGO_BUILD := cargo build --workspace --bins --locked
# Emulator of AWS: `ministack` or `localstack`.
STACK ?= ministack
LOCAL := target/$(BUILD)/telecom-local --build $(BUILD) --stack $(STACK)
PROGRAM := $(firstword $(LOCAL))

help: ## List all targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-14s %s\n' "$$name" "$$what"; done
	@printf '\nPorts: TELECOM_PORT (4566), TELECOM_SIGN_IN_PORT (4567), TELECOM_PG_PORT (54329), TELECOM_GRPC_PORT (50051), TELECOM_METRICS_PORT (9464). DATABASE_URL: an existing database to use instead of a local one.\n'

run: build ## Start everything on this machine; Ctrl-C stops it. STACK=localstack uses LocalStack
	@exec $(LOCAL) run

up: build ## Start everything in the background; returns when all is ready
	@$(LOCAL) up

down: ## Stop everything; returns when all processes have ended
	@if [ -x $(PROGRAM) ]; then $(LOCAL) down; else echo "Nothing is running."; fi

status: ## Show what is running, and its addresses
	@if [ -x $(PROGRAM) ]; then $(LOCAL) status; else echo "Nothing is running."; fi

logs: ## Follow all logs
	@tail -n 20 -F .local/log/*.log

clean: ## Delete all local data: database, queues, logs
	@if [ -x $(PROGRAM) ]; then $(LOCAL) clean; else rm -rf .local; fi

build: ## Build every program (BUILD=release: with optimisation)
	@echo "Building (the first time takes some minutes)"
	@$(CARGO_BUILD) $(if $(filter release,$(BUILD)),--release)

test: ## Run all checks and tests; leaves nothing running
	@local/scripts/test

test-release: ## Check what only a release needs: a deployed function, the collector with SQS, the code's documentation
	@local/scripts/test --release

audit: ## Check dependencies: unused ones, licences, sources, known vulnerabilities
	@local/scripts/test --dependencies

check: ## Check format, compile and lint, without running tests
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## Format the code
	@cargo fmt --all

bench: ## Measure throughput against COPY and against one transaction per row
	@echo "Building (release)"
	@$(CARGO_BUILD) --release
	@target/release/telecom-local with-database --durable -- target/release/telecom-bench $(ARGS)

chaos: ## Run the functions under random faults (ARGS="--seed 42": repeat a run; ARGS=--planted: find planted faults)
	@echo "Building (debug)"
	@cargo build --locked --package telecom-chaos
	@target/debug/telecom-chaos $(ARGS)
ifeq ($(ARGS),)
	@echo "Killing the collector beside V2Ray (about 5 minutes)"
	@TELECOM_LONG_TESTS=1 cargo test --locked --package telecom-collector --test rules debian_v2ray -- --nocapture
endif

fuzz: ## Send random requests to the running system (make up), which changes its data (ARGS="--seed=2")
	@local/scripts/fuzz-api $(ARGS)

verify: ## Compare the simulator's usage with the recorded and billed usage
	@$(LOCAL) verify $(ARGS)

token: ## Print the demo user's token (other users: `telecom-local token --help`)
	@$(LOCAL) token $(ARGS)

deploy: ## Deploy to AWS: make deploy ENV=dev (see docs/DEPLOY.md)
	@local/scripts/deploy $(ARGS) $(ENV)

cost: ## Compute the cost of a deployment, and update docs/DEPLOY.md
	@"$$(. local/scripts/lib.sh && tool sam)/python" local/scripts/cost.py --write

sam-invoke: ## Invoke FUNCTION=list-nodes once in a container, using the running system (EVENT=file); needs Docker
	@$(if $(FUNCTION),,echo "FUNCTION is missing, for instance: make sam-invoke FUNCTION=list-nodes" >&2; exit 2;) $(LOCAL) sam invoke $(FUNCTION) $(if $(EVENT),--event $(EVENT))

sam-api: ## Serve the HTTP API from functions in containers, using the running system; needs Docker
	@exec $(LOCAL) sam api

test-sam: ## Test functions in containers (not part of `make test`); skipped without Docker
	@local/scripts/test-sam

test-localstack: ## Test the pipeline on LocalStack (not part of `make test`); needs Python 3.13
	@local/scripts/test-localstack

image: ## Build the gRPC server's image (IMAGE=telecom-grpc); needs Docker
	@local/scripts/image $(ARGS)

generate: build ## Update the files that are generated from the list of endpoints
	@$(LOCAL) generate

sqlx: ## Update the committed query checks (.sqlx)
	@local/scripts/sqlx
