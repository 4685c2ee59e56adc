#!/bin/sh
# Users of two servers, over connections between servers: Waxwing with Waxwing, and with Debian's Prosody.
#
#   tests/clients/federation.sh [path to waxwing] [more arguments for federation.py]
#
# It needs what run.sh has installed in target/clients (slixmpp), and Debian's prosody and lua-unbound. All
# servers listen on loopback, on free ports, and end with the script.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
case "${1-}" in
--* | '') set -- "$target/debug/waxwing" "$@" ;;
esac
exec env PYTHONDONTWRITEBYTECODE=1 "$target/clients/venv/bin/python" "$here/federation.py" "$@"
