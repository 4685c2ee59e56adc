#!/bin/sh
# Waxwing, Prosody and ejabberd side by side: what a login, a message and an idle connection cost,
# and what an archive costs: chat, pages, messages to the absent, the wait for an acknowledgement.
#
#   benches/peers/run.sh [--quick] [--rounds N] [--servers NAME,…] [--only MODE,…]
#                        [--directory DIR] [--output FILE] [--json FILE]
#
# Servers: waxwing (without budgets), waxwing-budgets (with those that are set by default),
# waxwing-before (another build, which $WAXWING_BEFORE names, side by side with this one), prosody,
# ejabberd, and with storage that does not sync before it answers prosody-internal and
# ejabberd-mnesia (with an archive only). Modes: logins, chat, presence, idle, archived,
# archived-sm, pages, offline, acks. These are measured unless some are named. Only if they are named:
# logins-sasl2 (XEP-0388, XEP-0386) and logins-token (XEP-0484), which not all servers know.
#
# Needs two cores, Linux, Python 3, openssl and taskset. Installs Debian's prosody and ejabberd,
# and what lets them use SQLite, by apt-get if they are missing (then as root; their system services
# are stopped and disabled, the servers measured here run in a temporary directory on ports of their
# own and end with the run). The directory must be on a disk, or fsync costs nothing: --directory.
# Beside each mode of logins, in each round, runs what a bare TLS handshake costs (`examples/limits`).
# Builds `waxwing`, `examples/load` and `examples/limits` with --release unless $WAXWING, $LOAD and
# $LIMITS name programs.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
servers=waxwing,prosody,ejabberd
case " $* " in
*" --servers "*) servers=$(echo " $* " | sed 's/.* --servers  *\([^ ]*\) .*/\1/') ;;
esac

missing=
for peer in prosody ejabberd; do
    case ",$servers" in *",$peer"*) ;; *) continue ;; esac
    case $peer in
    prosody) library=lua-dbi-sqlite3 ;;
    ejabberd) library=erlang-p1-sqlite3 ;;
    esac
    for package in "$peer" "$library"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' ||
            missing="$missing $package"
    done
done
if [ -n "$missing" ]; then
    # shellcheck disable=SC2086 # a list of names
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
    for peer in $missing; do
        case $peer in prosody | ejabberd) ;; *) continue ;; esac
        if [ -d /run/systemd/system ]; then
            systemctl disable --now "$peer"
        elif [ -x "/etc/init.d/$peer" ]; then
            "/etc/init.d/$peer" stop || true
        fi
    done
fi

cd "$root"
if [ -z "${LOAD-}" ]; then
    cargo build --release --example load
    LOAD=$target/release/examples/load
fi
if [ -z "${LIMITS-}" ]; then
    cargo build --release --example limits
    LIMITS=$target/release/examples/limits
fi
case ",$servers," in *,waxwing,* | *,waxwing-budgets,*)
    if [ -z "${WAXWING-}" ]; then
        cargo build --release --bin waxwing
        WAXWING=$target/release/waxwing
    fi
    ;;
esac
case ",$servers," in *,waxwing-before,*)
    : "${WAXWING_BEFORE:?must name another build of waxwing}"
    ;;
esac
ulimit -n 8192
export LOAD LIMITS WAXWING="${WAXWING-}"
exec python3 "$here/run.py" "$@"
