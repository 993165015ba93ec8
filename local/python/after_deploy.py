"""Completes a deployment to ministack, then prints the stack's outputs as JSON.

ministack ignores `Targets` of a CloudFormation target group, so this script registers the targets of the deployed
templates. Usage: after_deploy.py STACK_NAME
"""

import json
import sys

import boto3
import yaml

NESTED_STACK = "AWS::CloudFormation::Stack"
TARGET_GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup"


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms: `!Ref A` becomes {"Ref": "A"}."""


def short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    return {suffix: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", short_form)


def register_targets(stack_name):
    """Registers the targets of the stack and of its nested stacks. Returns the stack's description."""
    cloudformation, elbv2 = boto3.client("cloudformation"), boto3.client("elbv2")
    template = cloudformation.get_template(StackName=stack_name)["TemplateBody"]
    if isinstance(template, str):
        template = yaml.load(template, Loader)
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    parameters = {given["ParameterKey"]: given["ParameterValue"] for given in stack.get("Parameters", [])}
    for resource in cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]:
        physical = resource["PhysicalResourceId"]
        if resource["ResourceType"] == NESTED_STACK:
            register_targets(physical)
        elif resource["ResourceType"] == TARGET_GROUP:
            properties = template["Resources"][resource["LogicalResourceId"]]["Properties"]
            # The target is a function's ARN, which the template receives as a parameter.
            targets = [{"Id": parameters[target["Id"]["Ref"]]} for target in properties.get("Targets", [])]
            if targets:
                elbv2.register_targets(TargetGroupArn=physical, Targets=targets)
    return stack


def main():
    stack = register_targets(sys.argv[1])
    print(json.dumps({output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}))


main()
