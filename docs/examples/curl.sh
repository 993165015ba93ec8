#!/usr/bin/env bash
# The HTTP API with curl. `make up` first; then, from the repository: docs/examples/curl.sh
set -euo pipefail
API="${TELECOM_API:-http://127.0.0.1:4566/_alb/telecom}"
TOKEN="${TELECOM_TOKEN:-$(make -s token)}"

get() {
    curl --silent --show-error --fail-with-body --header "authorization: Bearer $TOKEN" "$@"
    echo
}

# My traffic of the last day, hour by hour; and of the last week, by the days of Berlin, as a table.
get "$API/v1/traffic-usage?range=day"
get --header "accept: text/csv" "$API/v1/traffic-usage?range=week&time_zone=Europe/Berlin"

# My nodes. Ask again with the etag: 304 and no body while nothing has changed.
get "$API/v1/nodes"
etag="$(get --head "$API/v1/nodes" | tr -d '\r' | sed -n 's/^etag: //Ip')"
get --output /dev/null --write-out '%{http_code}' --header "if-none-match: $etag" "$API/v1/nodes"
