"""Prints the identity of the credentials or, with --outputs, the outputs of the deployed stack.

Usage: account.py ENVIRONMENT [--outputs]
"""

import sys
from pathlib import Path

import boto3
import tomlkit
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).parents[2]
NEXT = """
Next:
  - point the certificate's name at {ApiUrl}
  - collectors send to {UsageReportQueueUrl}, the shop sends orders to {PackageOrderQueueUrl}
  - the gRPC server's image goes to {GrpcRegistryUri}; then set GrpcImageTag and deploy again
docs/DEPLOY.md has the steps. docs/OPERATIONS.md explains what to do when an alarm fires."""


def main():
    environment, *options = sys.argv[1:]
    config = tomlkit.parse((ROOT / "samconfig.toml").read_text())[environment]["global"]["parameters"]
    stack, region = str(config["stack_name"]), str(config["region"])
    try:
        if "--outputs" in options:
            described = boto3.client("cloudformation", region_name=region).describe_stacks(StackName=stack)
            outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Stacks"][0]["Outputs"]}
            for name, value in outputs.items():
                print(f"  {name:36} {value}")
            print(NEXT.format(**{"GrpcRegistryUri": "-"} | outputs))
        else:
            identity = boto3.client("sts", region_name=region).get_caller_identity()
            print(f"  Stack {stack} in account {identity['Account']}, {region}, as {identity['Arn']}")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The request to AWS failed: {error}\nSign in (`aws sso login`, `aws configure`), or set AWS_PROFILE or AWS_ACCESS_KEY_ID.")


main()
