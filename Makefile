.DEFAULT_GOAL := help
.PHONY: help run run-store demo smoke test check fmt lint doc deny validate lambda-test e2e build package

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Run everything on this machine, in one process
	cargo run -p evenstock-local

run-store: ## Run a shop's node on port 8081, beside a centre on port 8080
	cargo run -p evenstock-store-node

demo: ## Walk through stores, imports and callbacks on the running instance
	cargo run -p evenstock-local -- demo

smoke: ## Start an instance of its own and check it from outside
	cargo run -p evenstock-local -- smoke

test: ## Run every test
	cargo test --workspace

check: ## Run every check, as continuous integration does
	.ci/run

fmt: ## Format the code
	cargo fmt --all

lint: ## Lint the code; a warning is an error
	.ci/run clippy

doc: ## Build the documentation; a warning is an error
	.ci/run doc

deny: ## Check licences, bans and sources of the dependencies, and known vulnerabilities
	.ci/run deny advisories

validate: ## Check the deployment templates
	.ci/run template

lambda-test: ## Run every function's program under the emulator of Lambda's runtime (needs Python)
	.ci/run lambda

e2e: ## Deploy to an emulator of AWS and test from end to end; AWS_ENDPOINT_URL names one that runs (needs Python)
	.ci/run e2e

build: ## Build the functions for AWS (needs the SAM CLI and cargo-lambda)
	sam build

package: ## Pack the functions as zips for AWS, and print their sizes (needs Python)
	.ci/package
