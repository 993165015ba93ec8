"""Computes the cost of a deployment, and writes the tables of docs/DEPLOY.md or checks that they are up to date.

Usage: cost.py [--write | --check]. Without an option it prints the tables.

The numbers of requests follow from the templates and the code: schedules, batch sizes, messages, endpoints. The prices
are AWS's published prices, entered here by hand (see PRICED).
"""

import json
import math
import re
import sys
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "DEPLOY.md"
BEGIN, END = "<!-- cost: begin -->\n", "<!-- cost: end -->\n"

PRICED = "us-east-1, on demand, without the free tier, as published in 2025"
# US dollars.
LAMBDA_REQUEST = 0.20 / 1e6
LAMBDA_GB_SECOND_ARM = 0.0000133334
SQS_REQUEST = 0.40 / 1e6
SCHEDULE_INVOCATION = 1.00 / 1e6
BUS_EVENT = 1.00 / 1e6
ACU_HOUR = 0.12
PROXY_ACU_HOUR, PROXY_LEAST_ACU = 0.015, 8
AURORA_GB_MONTH, AURORA_IO = 0.10, 0.20 / 1e6
BALANCER_HOUR, BALANCER_UNIT_HOUR = 0.0225, 0.008
ENDPOINT_ZONE_HOUR = 0.01
NAT_HOUR = 0.045
WAF_ACL_MONTH, WAF_RULE_MONTH, WAF_REQUEST = 5.00, 1.00, 0.60 / 1e6
FARGATE_VCPU_HOUR_ARM, FARGATE_GB_HOUR_ARM = 0.03238, 0.00356
ALARM_METRIC_MONTH, DASHBOARD_MONTH = 0.10, 3.00
LOG_GB = 0.50
SECRET_MONTH = 0.40
METRIC_MONTH = 0.30
# Received, failed and rejected messages of a consumer, each for all versions and for the newest version.
COUNTS_PER_CONSUMER = 3 * 2
# Values that jobs measure in every run, also without work. Each becomes one metric of its job.
MEASUREMENTS = sum(path.read_text().count("telemetry::measure(") for path in (ROOT / "shared/src/services/cron").glob("*.rs"))

HOURS = 730
MINUTES = HOURS * 60
ZONES = 2

UNIT_MINUTES = {"minute": 1, "hour": 60, "day": 24 * 60}
# local/src/template/schedule.rs accepts the same expressions.
ACCEPTED_SCHEDULES = (
    "rate(1 minute), rate(1 hour), rate(1 day), rate(N minutes), rate(N hours), rate(N days) with N of at least 2, "
    "cron(M * * * ? *) with M from 0 to 59"
)

# Duration of one warm call in seconds, with the template's memory: a round figure above those in docs/BENCHMARKS.md.
JOB_SECONDS = 0.15
DELIVERY_SECONDS = 0.25
# Time before the end of an invocation in which a job that repeats its work begins no round (`Run::MARGIN`).
JOB_MARGIN_SECONDS = 5
# Log lines of one call, including its metrics.
LOG_BYTES_PER_CALL = 1_500

# The load of the second table: reports of 100 rows, each row with the usage of one user. Costs are per million rows.
ROWS = 1_000_000
ROWS_PER_REPORT = 100
BYTES_PER_ROW = 110
# Rows that a round of billing combines into one event: those of one user and client within ten seconds.
ROWS_PER_EVENT = 1
EVENTS_PER_MESSAGE = 250
BYTES_PER_EVENT = 210
SQS_CHUNK = 64 * 1024
# Database capacity for a million rows in ACU hours: 10,000 rows/s (docs/BENCHMARKS.md, 2 cores, with margin) on 2 ACU.
ACU_HOURS_PER_MILLION = 2 * (ROWS / 10_000) / 3600
ROW_BYTES_STORED = 300
ROW_DAYS_STORED = 45
IOS_PER_ROW = 0.2


class UnknownSchedule(Exception):
    """A schedule whose runs cannot be counted."""

    def __init__(self, expression):
        super().__init__(f'unknown schedule expression "{expression}"; expected one of: {ACCEPTED_SCHEDULES}')


def minutes_between_runs(expression):
    # A reference to a parameter has no value here.
    rate = re.fullmatch(r"rate\(([0-9]+) (minute|hour|day)(s?)\)", expression or "")
    if rate:
        count, unit, is_plural = int(rate[1]), rate[2], bool(rate[3])
        if count > 0 and is_plural == (count > 1):
            return count * UNIT_MINUTES[unit]
    hourly = re.fullmatch(r"cron\(([0-9]+) \* \* \* \? \*\)", expression or "")
    if hourly and int(hourly[1]) < 60:
        return 60
    raise UnknownSchedule(expression)


def run_seconds(timeout, payload):
    """Returns the duration of a job's run, which waits between the rounds if the payload has `repeat_seconds`."""
    interval = json.loads(payload or "{}").get("repeat_seconds")
    if not interval:
        return JOB_SECONDS
    rounds = math.ceil((timeout - JOB_MARGIN_SECONDS) / interval)
    return (rounds - 1) * interval + JOB_SECONDS


class Template:
    """Counts resources in the templates."""

    def __init__(self):
        loader = YAML(typ="safe")
        loader.constructor.add_multi_constructor("!", lambda load, tag, node: None)
        paths = {path.stem: path for path in [ROOT / "template.yaml", *(ROOT / "stacks").glob("*.yaml")]}
        self.parts = {name: loader.load(path.read_text()) for name, path in paths.items()}

    def resources(self, kind):
        for part in self.parts.values():
            for name, resource in part["Resources"].items():
                if resource["Type"] == kind:
                    yield name, resource

    def default(self, parameter):
        return self.parts["template"]["Parameters"][parameter]["Default"]

    def events(self, kind):
        for name, function in self.resources("AWS::Serverless::Function"):
            for event in (function["Properties"].get("Events") or {}).values():
                if event["Type"] == kind:
                    yield name, event["Properties"]

    def memory_gb(self):
        return self.parts["template"]["Globals"]["Function"]["MemorySize"] / 1024

    def jobs(self):
        """Yields the runs per month and the seconds per run of each job."""
        functions = dict(self.resources("AWS::Serverless::Function"))
        for name, event in self.events("ScheduleV2"):
            runs = MINUTES / minutes_between_runs(event["ScheduleExpression"])
            yield runs, run_seconds(functions[name]["Properties"].get("Timeout"), event.get("Input"))

    def alarm_metrics(self):
        alarms = (alarm["Properties"] for _, alarm in self.resources("AWS::CloudWatch::Alarm"))
        return sum(max(1, sum("MetricStat" in metric for metric in alarm.get("Metrics", []))) for alarm in alarms)

    def own_metrics(self):
        jobs, consumers = (sum(1 for _ in self.events(kind)) for kind in ("ScheduleV2", "SQS"))
        # Each job also counts its completed runs.
        return jobs + MEASUREMENTS + consumers * COUNTS_PER_CONSUMER

    def interface_endpoints(self, of_grpc):
        endpoints = (one for _, one in self.resources("AWS::EC2::VPCEndpoint"))
        condition = "HasGrpcEndpoints" if of_grpc else "OwnVpc"
        return sum(one["Condition"] == condition and one["Properties"]["VpcEndpointType"] == "Interface" for one in endpoints)

    def firewall_rules(self):
        return sum(len(firewall["Properties"]["Rules"]) for _, firewall in self.resources("AWS::WAFv2::WebACL"))

    def batch_size(self, function):
        return next(event["BatchSize"] for name, event in self.events("SQS") if name == function)

    def task(self):
        task = next(task for _, task in self.resources("AWS::ECS::TaskDefinition"))["Properties"]
        return int(task["Cpu"]) / 1024, int(task["Memory"]) / 1024


def call(seconds, gigabytes):
    """Returns the cost of one invocation of a function, including its log."""
    return LAMBDA_REQUEST + seconds * gigabytes * LAMBDA_GB_SECOND_ARM + LOG_BYTES_PER_CALL / 1e9 * LOG_GB


def idle(template):
    """Returns the rows of a month without requests: name, quantity, cost."""
    capacity = template.default("DatabaseMinCapacity")
    endpoints, of_grpc = template.interface_endpoints(False), template.interface_endpoints(True)
    jobs, rules = list(template.jobs()), template.firewall_rules()
    runs = round(sum(runs for runs, _ in jobs))
    repeating = round(sum(runs for runs, seconds in jobs if seconds > JOB_SECONDS))
    job_cost = sum(runs * (call(seconds, template.memory_gb()) + SCHEDULE_INVOCATION) for runs, seconds in jobs)
    metrics, own_metrics = template.alarm_metrics(), template.own_metrics()
    queues = sum(1 for _ in template.events("SQS"))
    # Lambda uses 5 pollers per queue. On an empty queue each polls every 20 seconds.
    polls = queues * 5 * MINUTES * 3
    vcpu, memory = template.task()
    tasks = template.default("GrpcMinTasks")
    rows = [
        ("Aurora", f"{capacity} ACU, 1 instance, 10 GB", capacity * ACU_HOUR * HOURS + 10 * AURORA_GB_MONTH),
        ("RDS Proxy", f"billed for at least {PROXY_LEAST_ACU} ACU", PROXY_LEAST_ACU * PROXY_ACU_HOUR * HOURS),
        ("Endpoints", f"{endpoints} in {ZONES} zones", endpoints * ZONES * ENDPOINT_ZONE_HOUR * HOURS),
        ("Load balancer", "without requests", BALANCER_HOUR * HOURS),
        ("Firewall", f"{rules} rules", WAF_ACL_MONTH + rules * WAF_RULE_MONTH),
        ("Jobs", f"{runs:,} runs, {repeating:,} of them with rounds ([0058](decisions/0058-bill-every-ten-seconds.md))", job_cost),
        ("Queues", f"{polls:,} empty receives", polls * SQS_REQUEST),
        ("Alarms, dashboard, metrics", f"{metrics} metrics in alarms, 1 dashboard, {own_metrics} custom metrics", metrics * ALARM_METRIC_MONTH + DASHBOARD_MONTH + own_metrics * METRIC_MONTH),
        ("Secrets", "2 (the owner's password, the key of webhooks)", 2 * SECRET_MONTH),
    ]
    extra = [
        ("with the gRPC server", f"{tasks} tasks of {vcpu} vCPU and {memory} GB, {of_grpc} more endpoints",
         tasks * (vcpu * FARGATE_VCPU_HOUR_ARM + memory * FARGATE_GB_HOUR_ARM) * HOURS + of_grpc * ZONES * ENDPOINT_ZONE_HOUR * HOURS),
        ("with `DatabaseInstances` 2", f"{capacity} more ACU", capacity * ACU_HOUR * HOURS),
        ("with `NatGateway`", "1", NAT_HOUR * HOURS),
        ("with an existing database", "no Aurora, no proxy", -sum(cost for _, _, cost in rows[:2])),
        ("with an existing VPC", "no endpoints", -rows[2][2]),
    ]
    return rows, extra


def per_million(template):
    """Returns the rows of a million usage rows, from the collector to the bill: name, quantity, cost."""
    reports = ROWS // ROWS_PER_REPORT
    chunks = math.ceil(ROWS_PER_REPORT * BYTES_PER_ROW / SQS_CHUNK)
    deliveries = math.ceil(reports / template.batch_size("IngestUsageReportFunction"))
    # Sent one by one, received and deleted in batches of ten.
    report_requests = reports * chunks + 2 * math.ceil(reports / 10)
    events = ROWS // ROWS_PER_EVENT
    messages = math.ceil(events / EVENTS_PER_MESSAGE)
    message_chunks = math.ceil(EVENTS_PER_MESSAGE * BYTES_PER_EVENT / SQS_CHUNK)
    bills = math.ceil(messages / template.batch_size("ApplyUserUsageBillingFunction"))
    message_requests = messages * message_chunks + 2 * math.ceil(messages / 10)
    gigabytes = template.memory_gb()
    stored = ROWS * ROW_BYTES_STORED / 1e9
    rows = [
        ("Usage reports in SQS", f"{reports:,} reports of {ROWS_PER_REPORT} rows: {report_requests:,} requests", report_requests * SQS_REQUEST),
        ("ingest-usage-report", f"{deliveries:,} invocations", deliveries * call(DELIVERY_SECONDS, gigabytes)),
        ("Billing events in SQS", f"{events:,} events in {messages:,} messages: {message_requests:,} requests", message_requests * SQS_REQUEST),
        ("apply-user-usage-billing", f"{bills:,} invocations", bills * call(DELIVERY_SECONDS, gigabytes)),
        ("Aurora, work", f"{ACU_HOURS_PER_MILLION:.3f} ACU hours", ACU_HOURS_PER_MILLION * ACU_HOUR),
        ("Aurora, I/O", f"{IOS_PER_ROW:g} per row", ROWS * IOS_PER_ROW * AURORA_IO),
        ("Aurora, storage", f"{stored:.1f} GB for {ROW_DAYS_STORED} days", stored * AURORA_GB_MONTH * ROW_DAYS_STORED / 30),
    ]
    # Cost if reports arrive so rarely that each delivery holds one report.
    single = (reports - deliveries) * call(DELIVERY_SECONDS, gigabytes)
    return rows, [("with one report per delivery", f"{reports:,} invocations of ingest-usage-report", single)]


def table(head, rows, digits):
    lines = [f"| {head} | counted | US$ |", "|---|---|---:|"]
    lines += [f"| {name} | {counted} | {cost:,.{digits}f} |" for name, counted, cost in rows]
    return lines


def page():
    template = Template()
    rows, extra = idle(template)
    million, rarely = per_million(template)
    total = sum(cost for _, _, cost in rows)
    of_million = sum(cost for _, _, cost in million)
    lines = [
        "`local/scripts/cost.py` (`make cost`) computes these tables from the templates and from the prices that it contains:",
        f"{PRICED}.",
        "AWS's price pages could not be fetched during development, so compare the prices with them. Not included are taxes,",
        "traffic to the internet, backups beyond the first, and the requests of users (below).",
        "",
        *table("idle, per month", [*rows, ("**all**", "", total)], 2),
        *[f"| {name} | {counted} | {cost:+,.2f} |" for name, counted, cost in extra],
        "",
        *table("per million usage rows", [*million, ("**all**", "", of_million)], 3),
        *[f"| {name} | {counted} | {cost:+,.3f} |" for name, counted, cost in rarely],
        "",
        f"Assumptions: reports of {ROWS_PER_REPORT} rows of {BYTES_PER_ROW} bytes; {ROWS_PER_EVENT} row per user, client and ten seconds, which a round of billing combines;",
        f"{EVENTS_PER_MESSAGE} events per message; {DELIVERY_SECONDS} s per delivery, {JOB_SECONDS} s per job run or round; a run that repeats its work is billed until",
        f"its last round, also while it waits; {IOS_PER_ROW:g} I/Os per row. Requests over HTTP cost about",
        f"US$ {1e6 * (call(0.05, template.memory_gb()) + WAF_REQUEST):.2f} per million (50 ms, with firewall and log), plus the load balancer's capacity units at",
        f"US$ {BALANCER_UNIT_HOUR} per hour for 25 new connections a second. Facts on the bus cost US$ {1e6 * BUS_EVENT:.2f} per million.",
    ]
    return "\n".join(lines) + "\n"


def main():
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    try:
        new = page()
    except UnknownSchedule as unknown:
        sys.exit(f"template.yaml: {unknown}")
    if "--write" in sys.argv:
        PAGE.write_text(before + BEGIN + new + END + after)
    elif "--check" in sys.argv:
        if old != new:
            sys.exit("docs/DEPLOY.md: the cost tables are out of date. Run `make cost` and commit the result.")
        print("The cost tables in docs/DEPLOY.md are up to date")
    else:
        print(new, end="")


if __name__ == "__main__":
    main()
