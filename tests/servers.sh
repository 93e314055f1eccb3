#!/usr/bin/env bash
# The tests of real servers; `make test` builds them.
#
#   tests/servers.sh        all but the long ones
#   tests/servers.sh long   the long ones alone: thousands of buyers, a death at every step of a checkout
#
# Tests of servers mostly wait, so there are more of them at a time than there are processors. Those of agents share one group
# which one test at a time may hurt; among the others they would keep all places taken, waiting for each other. So they run beside them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

long=(checkout::crash checkout::lost checkout::rush checkout::idempotency::of_two_requests accounts::access::every_staff_route)
# `make fuzz` has a target of its own.
elsewhere=(fuzz::)

skip() { printf -- '--skip\n%s\n' "$@"; }

if [ "${1:-}" = long ]; then
  RUST_TEST_THREADS=3 exec cargo test --locked --workspace --test service -- "${long[@]}"
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
code=0
RUST_TEST_THREADS=2 cargo test --locked --workspace --test service -- agents:: >"$log" 2>&1 &
agents=$!
mapfile -t skipped < <(skip agents:: "${long[@]}" "${elsewhere[@]}")
RUST_TEST_THREADS=6 cargo test --locked --workspace --test service -- "${skipped[@]}" || code=$?
wait "$agents" || code=$?
# Each has an API server, some a controller manager: fewer at a time.
RUST_TEST_THREADS=4 cargo test --locked --workspace --test control_plane || code=$?
printf '\n== the tests of agents, which ran meanwhile\n'
cat "$log"
exit "$code"
