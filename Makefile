# Everything that a newcomer or the CI types. Each target installs what it lacks (Debian 12, root, Rust and git given).

CARGO ?= cargo

.PHONY: run test lint bench soak

# Builds the release and starts the gateway with a registrar and answering machines to call.
run:
	scripts/setup.sh
	$(CARGO) build --release --locked
	$(CARGO) run --release --locked -- demo

# All proof that is short enough for every change. The crates first, then the whole house with real peers: one test at
# a time, since a browser and a tone without gaps need the machine to themselves.
test:
	scripts/setup.sh --tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --workspace --exclude tandem --locked --no-fail-fast
	$(CARGO) test --package tandem --locked --no-fail-fast -- --test-threads=1

# Formatting, clippy, the licences and advisories of what we depend on (where cargo-deny is installed).
lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check; fi

bench:
	scripts/setup.sh
	$(CARGO) bench --workspace --locked

# The full figures of the acceptance tests (more calls, longer waits), on the release build.
soak:
	scripts/setup.sh --tests
	TANDEM_SOAK=1 $(CARGO) test --package actors --test simulator --release --locked -- --nocapture
	TANDEM_SOAK=1 $(CARGO) test --package tandem --release --locked --no-fail-fast -- --test-threads=1 --nocapture
