#!/usr/bin/env bash
# Calls the HTTP API with curl. Run `make up` first, then run docs/examples/curl.sh from the root of the repository.
set -euo pipefail
API="${TELECOM_API:-http://127.0.0.1:4566/_alb/telecom}"
TOKEN="${TELECOM_TOKEN:-$(make -s token)}"

get() {
    curl --silent --show-error --fail-with-body --header "authorization: Bearer $TOKEN" "$@"
    echo
}

# The user's traffic of the last day by hour, and of the last week by day in Berlin time as CSV.
get "$API/v1/traffic-usage?range=day"
get --header "accept: text/csv" "$API/v1/traffic-usage?range=week&time_zone=Europe/Berlin"

# The user's nodes. A second request with the etag returns 304 without a body while nothing has changed.
get "$API/v1/nodes"
etag="$(get --head "$API/v1/nodes" | tr -d '\r' | sed -n 's/^etag: //Ip')"
get --output /dev/null --write-out '%{http_code}' --header "if-none-match: $etag" "$API/v1/nodes"
