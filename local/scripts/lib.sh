# What the scripts beside this file share. To be sourced from the repository's folder.
# shellcheck shell=bash

step() {
    printf '\n=== %s (%s s since the start)\n' "$*" "$SECONDS"
}

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}

# The comment at the head of the script.
usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
}

# Installs one of the pinned sets of Python tools, local/requirements-<name>.txt, and prints its folder of programs.
tool() {
    local program=target/debug/telecom-local
    [ -x "$program" ] || cargo build --quiet --package telecom-local --locked >&2
    "$program" tool "$1"
}
