"""Changes valid random requests so that they also keep the rules that the OpenAPI document cannot express."""

import json
import os
import urllib.request
from datetime import date, timedelta
from functools import cache

import schemathesis

# All adjustments of an item together may be at most 1 EiB.
MAX_ADJUSTMENT_BYTES = 1 << 40
# The demo's first node server.
EXISTING_SERVER = 1


@schemathesis.hook
def before_call(context, case, kwargs):
    if not case.meta or not case.meta.generation.mode.is_positive:
        return
    label = context.operation.label
    if isinstance(case.body, dict):
        case.body = keep_rules_of_body(case.body)
        if "server_id" in case.body:
            case.body["server_id"] = EXISTING_SERVER
        if "/quota-adjustments" in label:
            size = abs(case.body["bytes"]) % MAX_ADJUSTMENT_BYTES or 1
            case.body["bytes"] = size if case.body["bytes"] > 0 else -size
        elif label == "PUT /v1/admin/orders/{id}":
            case.body["series"] = sold_series()
    if label.startswith("PATCH "):
        # No random revision is the current one.
        case.headers["if-match"] = "*"
    if case.query:
        keep_start_before_end(case.query)
        if "target_kind" not in case.query or "target_id" not in case.query:
            case.query.pop("target_kind", None)
            case.query.pop("target_id", None)


def keep_rules_of_body(body):
    # 1.0 is an integer in JSON Schema, but the API reads whole numbers without a fraction only.
    body = {name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in body.items()}
    for config in {"server_config", "client_config"} & body.keys():
        # Its fields depend on the compatibility, numbers are at most 1e308, and texts have no U+0000.
        body[config] = {"note": len(body[config] or {})}
    if isinstance(body.get("traffic_factor"), float):
        body["traffic_factor"] = round(body["traffic_factor"], 4)
    for numbers in {"ids", "access_groups"} & body.keys():
        body[numbers] = [int(number) for number in body[numbers]]
    return body


def keep_start_before_end(query):
    """Makes a range one day long. The time of day and the offset stay as they were generated."""
    given = query.get("start") or query.get("end")
    if not given:
        return
    day = date.fromisoformat(given[:10])
    # With an offset, the first and the last day may be in a year that is not accepted.
    day = day.replace(year=min(max(day.year, 2), 9998))
    query["start"] = f"{day}{given[10:]}"
    query["end"] = f"{day + timedelta(days=1)}{given[10:]}"


@cache
def sold_series():
    """A series with a package that can be ordered."""
    headers = {"Authorization": f"Bearer {os.environ['FUZZ_TOKEN']}"}
    request = urllib.request.Request(f"{os.environ['FUZZ_URL']}/v1/admin/package-series", headers=headers)
    with urllib.request.urlopen(request) as response:
        series = json.load(response)["series"]
    return next(one["series"] for of in series for one in of["versions"] if one["is_master"] and not one.get("retired_at"))
