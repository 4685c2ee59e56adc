#!/bin/sh
# What it costs to talk to other servers: see federation.py, which has the options.
#
#   benches/peers/federation.sh [--quick] [--rounds N] [--servers NAME,...] [--only pairs,domains,echo] [--json FILE]
#
# Needs two cores, Linux, taskset, and what tests/clients/federation.sh needs: run that once before. Builds `waxwing` and
# `examples/load` with --release unless $WAXWING and $LOAD name programs.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
cd "$root"
if [ -z "${LOAD-}" ]; then
    cargo build --release --example load
    LOAD=$target/release/examples/load
fi
if [ -z "${WAXWING-}" ]; then
    cargo build --release --bin waxwing
    WAXWING=$target/release/waxwing
fi
python=$target/clients/venv/bin/python
[ -x "$python" ] || { echo "run tests/clients/run.sh first: $python is missing" >&2; exit 1; }
ulimit -n 8192
export LOAD WAXWING
PYTHONDONTWRITEBYTECODE=1 exec "$python" "$here/federation.py" "$@"
