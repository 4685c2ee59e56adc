#!/bin/sh
# Real clients against a built server.
#
#   tests/clients/run.sh [path to waxwing] [more arguments for run.py]
#   tests/clients/run.sh --server prosody      the same against Debian's Prosody: a scenario that
#                                              fails there too is the scenario's fault
#
# slixmpp and aioxmpp need Python with venv; xmpp.js needs Node 20.10 and npm; Converse.js needs Chromium,
# too; nbxmpp needs the system's Python with GLib and libsoup; credentials for calls are tried with coturn;
# Profanity and poezio run in terminals. On Debian: python3-venv nodejs npm chromium python3-gi gir1.2-soup-3.0
# glib-networking coturn profanity poezio. What is missing is an error. With WAXWING_SKIP_CLIENTS=1 its clients are left out, and named.
# Libraries lie in target/clients; nothing is installed on the system.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
place=${CARGO_TARGET_DIR:-$root/target}/clients
python=${PYTHON:-python3}
mkdir -p "$place"

case "${1-}" in
--* | '') set -- "${CARGO_TARGET_DIR:-$root/target}/debug/waxwing" "$@" ;;
esac
case " $* " in
*" --server prosody "*) shift ;; # Prosody is found on the PATH
esac

# install STAMP COMMAND...: runs the command unless it ran before with these requirements.
install() {
    stamp=$place/$1.stamp
    wanted=$(cat "$here/requirements.txt" "$here/package.json" "$0" | cksum)
    shift
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
    "$@" >"$place/install.log" 2>&1 || { cat "$place/install.log" >&2; return 1; }
    echo "$wanted" >"$stamp"
}

with_pip() {
    rm -rf "$place/venv"
    "$python" -m venv "$place/venv"
    "$place/venv/bin/pip" install --quiet -r "$here/requirements.txt"
}

with_npm() {
    cp "$here/package.json" "$place/package.json"
    (cd "$place" && npm install --no-audit --no-fund --no-package-lock)
}

# In a folder of its own, and anew: npm stumbles over the workspaces of Converse.js that it finds.
with_browser() {
    rm -rf "$place/browser"
    mkdir "$place/browser"
    echo '{ "private": true }' >"$place/browser/package.json"
    (cd "$place/browser" && npm install --no-audit --no-fund --no-package-lock --no-save \
        converse.js@14.0.0 playwright-core@1.65.1)
}

with_glib() {
    rm -rf "$place/glib"
    /usr/bin/python3 -m venv --system-site-packages "$place/glib"
    "$place/glib/bin/pip" install --quiet --no-deps \
        nbxmpp==7.4.0 precis-i18n==1.1.2 idna==3.11 packaging==25.0
}

# missing WHAT PACKAGES: ends here, or says which clients are left out.
missing() {
    if [ "${WAXWING_SKIP_CLIENTS-}" = 1 ]; then
        echo "SKIPPED $1: needs $2"
    else
        echo "$1 cannot run: it needs $2 (or set WAXWING_SKIP_CLIENTS=1)" >&2
        exit 1
    fi
}

"$python" -c 'import ensurepip, venv' 2>/dev/null || {
    echo "$python cannot make a virtual environment: install python3-venv" >&2
    exit 1
}
install pip with_pip
if command -v npm >/dev/null && node --experimental-websocket -e 'WebSocket' 2>/dev/null; then
    install npm with_npm
    set -- "$@" --node "$place"
    if chromium=$(command -v chromium || command -v chromium-browser); then
        install browser with_browser
        set -- "$@" --chromium "$chromium" --converse "$place/browser"
    else
        missing Converse.js chromium
    fi
else
    missing 'xmpp.js and Converse.js' 'npm and node 20.10 or newer'
fi
if /usr/bin/python3 -c 'import ensurepip, gi; gi.require_version("Soup", "3.0")' 2>/dev/null; then
    install glib with_glib
    set -- "$@" --nbxmpp "$place/glib/bin/python"
else
    missing nbxmpp 'python3-venv, python3-gi, gir1.2-soup-3.0 and glib-networking'
fi

case " $* " in
*" --server prosody "*) ;;
*)
    if command -v turnserver >/dev/null && command -v turnutils_uclient >/dev/null; then
        set -- "$@" --coturn
    else
        missing coturn coturn
    fi
    if command -v biboumi >/dev/null; then
        set -- "$@" --biboumi
    else
        missing biboumi biboumi
    fi
    for program in profanity poezio; do
        if command -v "$program" >/dev/null; then
            set -- "$@" --terminal "$program"
        else
            missing "$program" "$program"
        fi
    done
    ;;
esac

PYTHONDONTWRITEBYTECODE=1 exec "$place/venv/bin/python" "$here/run.py" "$@"
