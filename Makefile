# Everything a developer does here. `make` alone lists it.
.DEFAULT_GOAL := help
.PHONY: help run up down status logs clean build test check fmt bench verify token sqlx

LOCAL := target/release/telecom-local

help: ## List what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-8s %s\n' "$$name" "$$what"; done
	@printf '\nPorts: TELECOM_PORT (4566), TELECOM_PG_PORT (54329). DATABASE_URL: a database to use instead of an own one.\n'

run: build ## Start everything on this machine; Ctrl-C stops it
	@exec $(LOCAL) run

up: build ## Start everything in the background; returns when it is ready
	@$(LOCAL) up

down: ## Stop what runs; returns when all of it is gone
	@if [ -x $(LOCAL) ]; then $(LOCAL) down; else echo "Nothing is running."; fi

status: ## Tell what runs, and where
	@if [ -x $(LOCAL) ]; then $(LOCAL) status; else echo "Nothing is running."; fi

logs: ## Follow all logs of what runs
	@tail -n 20 -F .local/log/*.log

clean: ## Forget all local data: database, queues, logs
	@if [ -x $(LOCAL) ]; then $(LOCAL) clean; else rm -rf .local; fi

build: ## Build every program (release)
	@echo "Building (the first time takes some minutes)"
	@cargo build --release --workspace --bins --locked

test: ## Run every check and every test; leaves nothing running
	@local/scripts/test

check: ## Format, compile and lint, without running anything
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## Format the code
	@cargo fmt --all

bench: build ## Measure throughput against COPY and against one transaction a row
	@$(LOCAL) with-database --durable -- target/release/telecom-bench

verify: ## Compare what the simulator sent with what was recorded and billed
	@$(LOCAL) verify

token: ## Print the demo user's token; for others see `telecom-local token --help`
	@$(LOCAL) token

sqlx: ## Bring the committed query checks (.sqlx) up to date
	@local/scripts/sqlx prepare
