#!/usr/bin/env bash
# Sends an order to the package-order queue with the AWS CLI, shows what it delivered, and cancels it. Run `make up`
# first, then run docs/examples/package-order.sh from the root of the repository.
set -euo pipefail
ENDPOINT="${AWS_ENDPOINT_URL:-http://127.0.0.1:4566}"
QUEUE="${TELECOM_PACKAGE_ORDER_QUEUE_URL:-$ENDPOINT/000000000000/telecom-package-order}"
API="${TELECOM_API:-$ENDPOINT/_alb/telecom}"
ADMIN="${TELECOM_ADMIN_TOKEN:-$(make -s token ARGS=--admin)}"
# The emulator accepts any credentials.
export AWS_REGION="${AWS_REGION:-us-east-1}" AWS_ACCESS_KEY_ID="${AWS_ACCESS_KEY_ID:-local}" \
    AWS_SECRET_ACCESS_KEY="${AWS_SECRET_ACCESS_KEY:-local}"

get() {
    curl --silent --show-error --fail-with-body --header "authorization: Bearer $ADMIN" "$API$1"
}

send() {
    aws --endpoint-url "$ENDPOINT" sqs send-message --queue-url "$QUEUE" --message-body "$1"
}

# The order id is generated before the first attempt. A repeated message with this id changes nothing.
order_id="$(cat /proc/sys/kernel/random/uuid)"
user="$(cat /proc/sys/kernel/random/uuid)"
series="$(get "/v1/admin/package-series?limit=1" | python3 -c 'import json, sys; print(json.load(sys.stdin)["series"][0]["series"])')"

send "{\"type\": \"package.order.v1\", \"order_id\": \"$order_id\", \"user\": \"$user\", \"series\": \"$series\", \"amount\": 2}"
sleep 3
get "/v1/admin/package-queue?order=$order_id"
echo

send "{\"type\": \"package.order_cancelled.v1\", \"order_id\": \"$order_id\"}"
sleep 3
get "/v1/admin/package-queue?order=$order_id"
echo
