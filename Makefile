# Everything a developer does here. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help run up down status logs clean build test test-release check fmt bench chaos verify token sqlx openapi sam-invoke sam-api test-sam test-localstack image deploy cost

# Which build runs: `debug` is built in a third of the time and shares its work with `make test`.
BUILD ?= debug
CARGO_BUILD := cargo build --workspace --bins --locked
# What stands in for AWS: `ministack`, or `localstack`.
STACK ?= ministack
LOCAL := target/$(BUILD)/telecom-local --build $(BUILD) --stack $(STACK)
PROGRAM := $(firstword $(LOCAL))

help: ## List what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-14s %s\n' "$$name" "$$what"; done
	@printf '\nPorts: TELECOM_PORT (4566), TELECOM_PG_PORT (54329), TELECOM_GRPC_PORT (50051). DATABASE_URL: a database to use instead of an own one.\n'

run: build ## Start everything on this machine; Ctrl-C stops it. STACK=localstack: on LocalStack
	@exec $(LOCAL) run

up: build ## Start everything in the background; returns when it is ready
	@$(LOCAL) up

down: ## Stop what runs; returns when all of it is gone
	@if [ -x $(PROGRAM) ]; then $(LOCAL) down; else echo "Nothing is running."; fi

status: ## Tell what runs, and where
	@if [ -x $(PROGRAM) ]; then $(LOCAL) status; else echo "Nothing is running."; fi

logs: ## Follow all logs of what runs
	@tail -n 20 -F .local/log/*.log

clean: ## Forget all local data: database, queues, logs
	@if [ -x $(PROGRAM) ]; then $(LOCAL) clean; else rm -rf .local; fi

build: ## Build every program; BUILD=release optimises
	@echo "Building (the first time takes some minutes)"
	@$(CARGO_BUILD) $(if $(filter release,$(BUILD)),--release)

test: ## Run every check and every test; leaves nothing running
	@local/scripts/test

test-release: ## Check what a release needs besides: a deployed function, dependencies, documentation
	@local/scripts/test --release

check: ## Format, compile and lint, without running anything
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## Format the code
	@cargo fmt --all

bench: ## Measure throughput against COPY and against one transaction a row
	@echo "Building (release)"
	@$(CARGO_BUILD) --release
	@target/release/telecom-local with-database --durable -- target/release/telecom-bench $(ARGS)

chaos: ## Run the functions under random faults; repeat a run: ARGS="--seed 42"; find planted faults: ARGS=--planted
	@echo "Building (debug)"
	@cargo build --locked --package telecom-chaos
	@target/debug/telecom-chaos $(ARGS)

verify: ## Compare what the simulator sent with what was recorded and billed
	@$(LOCAL) verify $(ARGS)

token: ## Print the demo user's token; for others see `telecom-local token --help`
	@$(LOCAL) token $(ARGS)

deploy: ## Deploy to AWS: make deploy ENV=dev; what it takes: docs/DEPLOY.md
	@local/scripts/deploy $(ARGS) $(ENV)

cost: ## Compute what it costs, and write it into docs/DEPLOY.md
	@"$$(. local/scripts/lib.sh && tool sam)/python" local/scripts/cost.py --write

sam-invoke: ## Invoke FUNCTION=list-nodes once in a container, over what runs (EVENT=file); needs Docker
	@$(if $(FUNCTION),,echo "Say which function: make sam-invoke FUNCTION=list-nodes" >&2; exit 2;) $(LOCAL) sam invoke $(FUNCTION) $(if $(EVENT),--event $(EVENT))

sam-api: ## Serve the HTTP API from functions in containers, over what runs; needs Docker
	@exec $(LOCAL) sam api

test-sam: ## Test functions in containers, where Docker is; apart from `make test`
	@local/scripts/test-sam

test-localstack: ## Test the pipeline on LocalStack, apart from `make test`; needs Python 3.13
	@local/scripts/test-localstack

image: ## Build the gRPC server's image (IMAGE=telecom-grpc); needs Docker
	@local/scripts/image $(ARGS)

openapi: build ## Bring the committed API documentation up to date
	@$(LOCAL) openapi

sqlx: ## Bring the committed query checks (.sqlx) up to date
	@local/scripts/sqlx prepare
