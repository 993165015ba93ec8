#!/usr/bin/env bash
# Calls the gRPC API with buf curl, which finds the methods by reflection. Run `make up` first. The project installs buf:
# PATH="$(target/debug/telecom-local tool grpc):$PATH" docs/examples/buf-curl.sh
set -euo pipefail
SERVER="http://${TELECOM_GRPC:-127.0.0.1:50051}"
TOKEN="${TELECOM_TOKEN:-$(make -s token)}"

buf curl --protocol grpc --http2-prior-knowledge --list-methods "$SERVER"
buf curl --protocol grpc --http2-prior-knowledge --header "authorization: Bearer $TOKEN" \
    --data '{"range": "RECENT_RANGE_DAY"}' "$SERVER/telecom.v1.Telecom/GetRecentTrafficUsage"
