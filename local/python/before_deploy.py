"""Describes the database of $DATABASE_URL as an existing one, and prints the template's parameters for it as JSON.

Its user and password go into a secret, as they would on AWS: no parameter and no function's environment has them.
"""

import json
import os
import sys
from urllib.parse import parse_qs, unquote, urlsplit

import boto3

SECRET = "telecom-database"


def secret_arn(content):
    """The secret's ARN, with this content from now on."""
    secrets = boto3.client("secretsmanager")
    try:
        return secrets.create_secret(Name=SECRET, SecretString=content)["ARN"]
    except secrets.exceptions.ResourceExistsException:
        return secrets.put_secret_value(SecretId=SECRET, SecretString=content)["ARN"]


def main():
    url = urlsplit(os.environ["DATABASE_URL"])
    name = unquote(url.path.lstrip("/"))
    if not (url.hostname and url.username and name):
        sys.exit("DATABASE_URL must name a host, a user and a database: postgres://user:password@host:5432/database")
    login = {"username": unquote(url.username), "password": unquote(url.password or "")}
    parameters = {
        "DatabaseHost": url.hostname,
        "DatabasePort": str(url.port or 5432),
        "DatabaseName": name,
        "DatabaseSslMode": parse_qs(url.query).get("sslmode", ["disable"])[0],
        "DatabaseSecretArn": secret_arn(json.dumps(login)),
    }
    print(json.dumps(parameters))


main()
