"""Prints the template's parameters for the database of $DATABASE_URL, as an existing database, as JSON.

The user and password are stored in a secret, as on AWS. No parameter and no function's environment contains them.
"""

import json
import os
import sys
from urllib.parse import parse_qs, unquote, urlsplit

import boto3

SECRET = "telecom-database"


def secret_arn(content):
    """Creates or updates the secret with this content, and returns its ARN."""
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
