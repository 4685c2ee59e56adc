#!/bin/sh
# Users of two servers, over connections between servers: Waxwing with Waxwing, with Debian's Prosody and with Debian's
# ejabberd; by certificates, by dialback, and by a signed DNS (DANE).
#
#   tests/clients/federation.sh [path to waxwing] [more arguments for federation.py]
#
# It needs what run.sh has installed in target/clients (slixmpp), and Debian's prosody, lua-unbound and ejabberd, which it
# installs by apt-get if they are missing. Their system services do not start, then or later. All servers listen on
# loopback, on free ports, and end with the script.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
case "${1-}" in
--* | '') set -- "$target/debug/waxwing" "$@" ;;
esac

wanted=
case " $* " in
*" --peer "*) ;;
*) wanted='prosody lua-unbound ejabberd' ;;
esac
case " $* " in *" --peer prosody "*) wanted="$wanted prosody lua-unbound" ;; esac
case " $* " in *" --peer ejabberd "*) wanted="$wanted ejabberd" ;; esac
missing=
for package in $wanted; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || { echo "install$missing as your system does" >&2; exit 1; }
    as_root=
    [ "$(id -u)" = 0 ] || as_root=sudo
    echo "installing$missing"
    # Nobody starts a service while this says so (deb-systemd-invoke and invoke-rc.d ask it).
    policy=/usr/sbin/policy-rc.d
    made=
    if [ ! -e "$policy" ]; then
        made=$policy
        printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
        $as_root chmod 755 "$policy"
        # shellcheck disable=SC2064 # now
        trap "$as_root rm -f $policy" EXIT
    fi
    $as_root apt-get update -qq
    # shellcheck disable=SC2086 # a list of names
    $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends $missing >/dev/null
    if [ -d /run/systemd/system ]; then
        for peer in prosody ejabberd epmd; do
            $as_root systemctl disable "$peer" 2>/dev/null || true
        done
    fi
    [ -z "$made" ] || $as_root rm -f "$made"
    trap - EXIT
fi
PYTHONDONTWRITEBYTECODE=1 exec "$target/clients/venv/bin/python" "$here/federation.py" "$@"
