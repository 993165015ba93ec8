#!/usr/bin/env bash
# Calls the gRPC API with grpcurl, which finds the methods by reflection. Run `make up` first.
set -euo pipefail
SERVER="${TELECOM_GRPC:-127.0.0.1:50051}"
TOKEN="${TELECOM_TOKEN:-$(make -s token)}"

grpcurl -plaintext "$SERVER" list
grpcurl -plaintext "$SERVER" describe telecom.v1.Telecom.GetRecentTrafficUsage
grpcurl -plaintext -H "authorization: Bearer $TOKEN" -d '{"range": "RECENT_RANGE_DAY"}' \
    "$SERVER" telecom.v1.Telecom/GetRecentTrafficUsage
