"""Does what ministack leaves undone after a deployment, then prints the stack's outputs as JSON.

ministack ignores `Targets` of a CloudFormation target group, so each one is registered here, as the deployed
template names it. Usage: after_deploy.py STACK_NAME
"""

import json
import sys

import boto3
import yaml

TARGET_GROUP = "AWS::ElasticLoadBalancingV2::TargetGroup"


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms: `!GetAtt A.Arn` becomes {"GetAtt": "A.Arn"}."""


def short_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    return {suffix: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", short_form)


def logical_id(target):
    """The function that `Id: !GetAtt Function.Arn` names, in any of its spellings."""
    value = target["Id"].get("GetAtt") or target["Id"].get("Fn::GetAtt")
    return value[0] if isinstance(value, list) else value.split(".")[0]


def main():
    stack_name = sys.argv[1]
    cloudformation, elbv2, functions = (boto3.client(name) for name in ("cloudformation", "elbv2", "lambda"))
    template = cloudformation.get_template(StackName=stack_name)["TemplateBody"]
    if isinstance(template, str):
        template = yaml.load(template, Loader)
    resources = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    physical = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
    for name, resource in template["Resources"].items():
        if resource["Type"] != TARGET_GROUP or name not in physical:
            continue
        targets = [physical[logical_id(target)] for target in resource["Properties"].get("Targets", [])]
        arns = [functions.get_function_configuration(FunctionName=target)["FunctionArn"] for target in targets]
        elbv2.register_targets(TargetGroupArn=physical[name], Targets=[{"Id": arn} for arn in arns])
    stack = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
    print(json.dumps({output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}))


main()
