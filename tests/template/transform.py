"""Prints template.yaml as SAM transforms it at a deployment, as JSON; `!GetAtt A.Arn` is {"Fn::GetAtt": "A.Arn"}."""

import json
import os
import sys

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class NoManagedPolicies:
    def load(self):
        return {}


def joined(value):
    if isinstance(value, dict):
        if list(value) == ["Fn::GetAtt"] and isinstance(value["Fn::GetAtt"], list):
            return {"Fn::GetAtt": ".".join(value["Fn::GetAtt"])}
        return {name: joined(field) for name, field in value.items()}
    return [joined(item) for item in value] if isinstance(value, list) else value


os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
with open(sys.argv[1]) as file:
    template = yaml_parse(file)
parameters = {name: declared.get("Default", "given") for name, declared in template["Parameters"].items()}
parameters["GradualRelease"] = "true"
for resource in template["Resources"].values():
    if resource["Type"] == "AWS::Serverless::Function":
        resource["Properties"]["CodeUri"] = "s3://code/function"
json.dump(joined(transform(template, parameters, NoManagedPolicies())), sys.stdout)
