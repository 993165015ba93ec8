"""Deploys stacks/console.yaml, uploads the console as `make deploy` does, and prints what the bucket contains.

Usage: console.py ENVIRONMENT (AWS_ENDPOINT_URL names the emulator)
"""

import json
import subprocess
import sys
from pathlib import Path

import boto3

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "local" / "scripts"
sys.path.insert(0, str(SCRIPTS))

from deployed import outputs, stack_and_region

PARAMETERS = {
    "Name": "telecom-dev",
    "ApiUrl": "https://api.example.com",
    "ClientId": "console",
    "Issuer": "https://auth.example.com/realm",
    "Scope": "openid",
    "Origins": "https://tokens.example.com",
    "DomainName": "",
    "CertificateArn": "",
}


def deploy(stack, region):
    """Deploys the nested template with the names of the outputs of the whole system."""
    template = (ROOT / "stacks/console.yaml").read_text()
    template = template.replace("\n  Bucket:\n    Value", "\n  ConsoleBucketName:\n    Value")
    cloudformation = boto3.client("cloudformation", region_name=region)
    parameters = [{"ParameterKey": name, "ParameterValue": value} for name, value in PARAMETERS.items()]
    cloudformation.create_stack(StackName=stack, TemplateBody=template, Parameters=parameters)
    cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1, "MaxAttempts": 60})


def upload(environment):
    subprocess.run([sys.executable, "-B", SCRIPTS / "upload_console.py", environment], check=True, stdout=sys.stderr)


def described(bucket):
    def one(item):
        content = item.get()
        return {"cache": content["CacheControl"], "type": content["ContentType"], "bytes": content["ContentLength"]}

    return {item.key: one(item.Object()) for item in bucket.objects.all()}


environment = sys.argv[1]
stack, region = stack_and_region(environment)
deploy(stack, region)
upload(environment)
upload(environment)
bucket = boto3.resource("s3", region_name=region).Bucket(outputs(environment)["ConsoleBucketName"])
policies = boto3.client("cloudfront", region_name=region).list_response_headers_policies(Type="custom")
policy = policies["ResponseHeadersPolicyList"]["Items"][0]["ResponseHeadersPolicy"]["ResponseHeadersPolicyConfig"]
print(json.dumps({"files": described(bucket), "policy": policy["SecurityHeadersConfig"]["ContentSecurityPolicy"]["ContentSecurityPolicy"]}))
