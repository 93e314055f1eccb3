# `make` lists the targets. Everything runs on this machine alone and leaves the system as it is.
.DEFAULT_GOAL := help

.PHONY: help tools demo test fuzz check bench soak soaktests soakproducts soakfaults soakbackups images e2e fmt

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

tools: ## bring the servers that tests and demo run (MySQL, Valkey, Varnish, a browser …) into .tools/
	@tests/tools.sh

demo: tools ## run a whole shop on this machine: database group, cache, edge, two shop processes, worker
	cargo build --locked --workspace --bins
	$${CARGO_TARGET_DIR:-target}/debug/demo

test: tools ## run every test that this machine can run, but for what takes hours (make soak)
	@echo 'building the tests; the first build takes some minutes'
	cargo build --locked --workspace --bins
	cargo test --locked --workspace --no-run
	# Always the whole workspace, and targets of it: what is chosen decides on features, and other features are another build.
	cargo test --locked --workspace --lib --bins
	tests/servers.sh

fuzz: tools ## try the API against its own description, thoroughly; FUZZ_EXAMPLES=… requests for each operation
	cargo build --locked --workspace --bins
	PANONO_FUZZ_EXAMPLES=$(or $(FUZZ_EXAMPLES),200) cargo test --locked --workspace --test service fuzz:: -- --nocapture

check: ## formatting, lints and the rules of the repository
	cargo fmt --all -- --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo test --locked --workspace --quiet --test tidy

bench: tools ## run the benches, or one of them: make bench NAME=…
	cargo build --locked --release --workspace --bins
	$${CARGO_TARGET_DIR:-target}/release/bench $(NAME)

soak: soaktests soakfaults soakproducts soakbackups ## everything that takes hours; or one part of it

soaktests: tools ## the long tests of buying: thousands of buyers, a death at every step
	cargo build --locked --workspace --bins
	tests/servers.sh long

soakfaults: tools ## repeat each fault of the database 20 times, and print how long nobody could write (an hour)
	cargo build --locked --workspace --bins
	SOAK_RUNS=20 RUST_TEST_THREADS=1 cargo test --locked --workspace --test service -- agents:: --nocapture

soakproducts: tools ## import a million products and look at their pages (hours); SOAK_PRODUCTS=50000 for fewer
	cargo build --locked --release --workspace --bins
	$${CARGO_TARGET_DIR:-target}/release/bench soak

soakbackups: tools ## a backup of GIB (10) GiB while a shop sells, and its restore (minutes to hours)
	cargo build --locked --release --workspace --bins
	$${CARGO_TARGET_DIR:-target}/release/soak $(or $(GIB),10)

images: ## build the images of both programs; CONTAINER=podman or buildah for another engine than docker
	$(or $(CONTAINER),docker) build -f shop/Dockerfile -t panono-shop:0.1.0 .
	$(or $(CONTAINER),docker) build -f operator/Dockerfile -t panono-operator:0.1.0 .

e2e: ## a shop on the cluster of KUBECONFIG, from nothing to nothing; tests/e2e.sh says what it takes
	@tests/e2e.sh

fmt: ## format the code
	cargo fmt --all
