# Functions shared by the scripts in this folder. Source it from the repository's root.
# shellcheck shell=bash

step() {
    printf '\n=== %s (%s s since the start)\n' "$*" "$SECONDS"
}

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# Prints the comment at the head of the script.
usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
}

# Installs one of the pinned sets of Python tools, local/requirements-<name>.txt, and prints the folder of its programs.
tool() {
    local program=target/debug/telecom-local
    [ -x "$program" ] || cargo build --quiet --package telecom-local --locked >&2
    "$program" tool "$1"
}

# Prints the path of Chromium. Installs Debian's package if the machine has no Chromium.
chromium_program() {
    local program log=.local/log/chromium.log
    for program in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
        [ -n "$program" ] && command -v "$program" && return
    done
    local root=()
    [ "$(id -u)" -eq 0 ] || root=(sudo -n)
    "${root[@]}" true && command -v apt-get >&2 ||
        fail 'Chromium is needed. Install it (Debian, Ubuntu: `sudo apt-get install chromium`).'
    echo "Installing Chromium with apt-get" >&2
    mkdir -p "$(dirname "$log")"
    { "${root[@]}" apt-get update -q &&
        "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium; } \
        >"$log" 2>&1 || fail "Chromium could not be installed. See $log."
    command -v chromium
}
