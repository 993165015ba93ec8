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
