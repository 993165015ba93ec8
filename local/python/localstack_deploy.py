"""Deploys the queues and the bus of template.yaml to LocalStack, and prints as JSON what the local driver must invoke.

LocalStack runs functions in Docker only, fires no schedules and has no load balancer. Therefore only the template's
queues and bus are deployed, unchanged. The output lists each function with its queue or its schedule for the driver.
Usage: localstack_deploy.py TEMPLATE STACK_NAME
"""

import json
import sys

import boto3
import yaml

DEPLOYED = ("AWS::SQS::Queue", "AWS::Events::EventBus")
FUNCTION = "AWS::Serverless::Function"
CODE_FOLDER = "target/lambda/"


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as its long ones: `!GetAtt A.Arn` becomes {"Fn::GetAtt": ["A", "Arn"]}."""


def long_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", long_form)


def messaging(template):
    """Returns the part of the template that is deployed, with all parameters, conditions and mappings."""
    kept = {
        name: resource
        for name, resource in template["Resources"].items()
        if resource["Type"] in DEPLOYED and "Condition" not in resource
    }
    part = {section: template[section] for section in ("Parameters", "Conditions", "Mappings") if section in template}
    return {"AWSTemplateFormatVersion": template["AWSTemplateFormatVersion"], **part, "Resources": kept}


def parameters(template):
    """Returns `Deployment=local`, and a placeholder for each parameter without a default: queues do not use them."""
    given = {"Deployment": "local"}
    for name, parameter in template.get("Parameters", {}).items():
        if "Default" not in parameter:
            given.setdefault(name, "none")
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]


def driven(template, physical):
    """Returns what invokes each function: its queue and batch size, or its schedule."""
    consumers, schedules = [], []
    for resource in template["Resources"].values():
        if resource["Type"] != FUNCTION:
            continue
        properties = resource["Properties"]
        function = properties["CodeUri"].removeprefix(CODE_FOLDER).strip("/")
        for event in properties.get("Events", {}).values():
            of_event = event["Properties"]
            if event["Type"] == "SQS":
                url = physical[of_event["Queue"]["Fn::GetAtt"][0]]
                consumers.append({"function": function, "queue_url": url, "batch_size": of_event.get("BatchSize", 10)})
            elif event["Type"] == "ScheduleV2":
                schedules.append({"function": function, "expression": of_event["ScheduleExpression"]})
    return {"consumers": consumers, "schedules": schedules}


def main():
    path, stack_name = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        template = yaml.load(file, Loader)
    cloudformation = boto3.client("cloudformation")
    body = json.dumps(messaging(template))
    cloudformation.create_stack(StackName=stack_name, TemplateBody=body, Parameters=parameters(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=stack_name, WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    resources = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    physical = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
    types = {resource["LogicalResourceId"]: resource["ResourceType"] for resource in resources}
    queues = {f"{name}Url": url for name, url in physical.items() if types[name] == DEPLOYED[0]}
    buses = {f"{name}Name": bus for name, bus in physical.items() if types[name] == DEPLOYED[1]}
    print(json.dumps({"outputs": {**queues, **buses}, **driven(template, physical)}))


main()
