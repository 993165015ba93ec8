"""Prints the identity of the credentials or, with --outputs, the outputs of the deployed stack.

Usage: account.py ENVIRONMENT [--outputs]
"""

import sys

import boto3

from deployed import outputs, readable_errors, stack_and_region

NEXT = """
Next:
  - point the certificate's name at {ApiUrl}
  - collectors send to {UsageReportQueueUrl}, the shop sends orders to {PackageOrderQueueUrl}
  - the gRPC server's image goes to {GrpcRegistryUri}; then set GrpcImageTag and deploy again
docs/DEPLOY.md has the steps. docs/OPERATIONS.md explains what to do when an alarm fires."""


def print_outputs(environment):
    found = outputs(environment)
    for name, value in found.items():
        print(f"  {name:36} {value}")
    print(NEXT.format(**{"GrpcRegistryUri": "-"} | found))


def print_identity(environment):
    stack, region = stack_and_region(environment)
    identity = boto3.client("sts", region_name=region).get_caller_identity()
    print(f"  Stack {stack} in account {identity['Account']}, {region}, as {identity['Arn']}")


environment, *options = sys.argv[1:]
with readable_errors():
    if "--outputs" in options:
        print_outputs(environment)
    else:
        print_identity(environment)
