#!/usr/bin/env bash
# The tests of real servers, `make test` builds them: all but those of agents, and beside them those of agents.
#
# Tests of servers mostly wait, so there are more of them at a time than there are processors. Those of agents share one group
# which one test at a time may hurt; among the others they would keep all places taken, waiting for each other.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
code=0
RUST_TEST_THREADS=2 cargo test --locked --workspace --test service -- agents:: >"$log" 2>&1 &
agents=$!
RUST_TEST_THREADS=6 cargo test --locked --workspace --test '*' --no-fail-fast -- --skip agents:: || code=$?
wait "$agents" || code=$?
printf '\n== the tests of agents, which ran meanwhile\n'
cat "$log"
exit "$code"
