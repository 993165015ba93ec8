"""Uploads the files of the console to the bucket of the deployed stack, if the stack has one.

Usage: upload_console.py ENVIRONMENT
"""

import sys
from datetime import datetime, timedelta, timezone

import boto3

from deployed import ROOT, outputs, readable_errors, stack_and_region

FILES = ROOT / "console/dist"
PREFIX = "console/"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
# A page that is open in a browser may still load files of the release that it came from.
KEPT = timedelta(days=30)


def cache_control(name):
    """Names of files in assets/ contain a hash of their content."""
    return "public, max-age=31536000, immutable" if name.startswith("assets/") else "public, no-cache"


def upload(bucket):
    """Uploads the files, the page last: it names the others."""
    files = sorted((path for path in FILES.rglob("*") if path.is_file()), key=lambda path: path.name == "index.html")
    names = [path.relative_to(FILES).as_posix() for path in files]
    for path, name in zip(files, names):
        bucket.put_object(Key=PREFIX + name, Body=path.read_bytes(), ContentType=TYPES[path.suffix], CacheControl=cache_control(name))
    return {PREFIX + name for name in names}


def delete_old(bucket, current):
    """Deletes files that no release of the last days contained. Each upload renews the date of a file."""
    limit = datetime.now(timezone.utc) - KEPT
    old = [one for one in bucket.objects.filter(Prefix=PREFIX) if one.key not in current and one.last_modified < limit]
    for one in old:
        one.delete()
    return len(old)


def main():
    (environment,) = sys.argv[1:]
    with readable_errors():
        name = outputs(environment).get("ConsoleBucketName")
        if name is None:
            print("  ConsoleApiUrl is empty: only the load balancer serves the console, if ConsoleClientId is given")
            return
        _, region = stack_and_region(environment)
        bucket = boto3.resource("s3", region_name=region).Bucket(name)
        current = upload(bucket)
        print(f"  {len(current)} files uploaded to {name}, {delete_old(bucket, current)} old ones deleted")


main()
