#!/bin/sh
# Clients with windows against a built server, on a display that nobody sees.
#
#   tests/clients/desktop.sh [path to waxwing] [--only part of a client's name]
#
# Run as root: the clients run as nobody, and the certificate of the server is their system's only authority. On
# Debian: xvfb xauth dbus xdotool libglib2.0-bin openssl pidgin gajim dino-im psi-plus kaidan (and imagemagick for
# pictures in the folder WAXWING_SCREENSHOTS). Not part of CI, for all that these packages bring with them.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
place=$target/clients

case "${1-}" in
--* | '') set -- "$target/debug/waxwing" "$@" ;;
esac
for program in xvfb-run dbus-daemon xdotool gdbus openssl pidgin gajim dino-im psi-plus kaidan; do
    command -v "$program" >/dev/null || { echo "there is no $program" >&2; exit 1; }
done
if [ ! -x "$place/venv/bin/python" ]; then
    mkdir -p "$place"
    "${PYTHON:-python3}" -m venv "$place/venv"
    "$place/venv/bin/pip" install --quiet -r "$here/requirements.txt"
fi
PYTHONDONTWRITEBYTECODE=1 exec xvfb-run --auto-servernum --server-args '-screen 0 1280x900x24' \
    "$place/venv/bin/python" "$here/desktop.py" "$@"
