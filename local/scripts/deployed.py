"""The deployed stack of an environment of samconfig.toml."""

import sys
from contextlib import contextmanager
from pathlib import Path

import boto3
import tomlkit
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).parents[2]


def stack_and_region(environment):
    config = tomlkit.parse((ROOT / "samconfig.toml").read_text())[environment]["global"]["parameters"]
    return str(config["stack_name"]), str(config["region"])


def outputs(environment):
    """Returns the outputs of the stack by name."""
    stack, region = stack_and_region(environment)
    described = boto3.client("cloudformation", region_name=region).describe_stacks(StackName=stack)
    return {output["OutputKey"]: output["OutputValue"] for output in described["Stacks"][0].get("Outputs", [])}


@contextmanager
def readable_errors():
    """Ends the program with what an operator can do about an error of AWS."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"The request to AWS failed: {error}\nSign in (`aws sso login`, `aws configure`), or set AWS_PROFILE or AWS_ACCESS_KEY_ID.")
