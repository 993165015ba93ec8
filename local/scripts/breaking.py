"""Finds changes of the HTTP and gRPC APIs that break existing clients.

Usage: breaking.py BUF    (the path of the program `buf`)

The APIs are compared with those of the last release, which is the last tag before the current commit. Before the first
release they are compared with the commit at which the branch left main, or on main itself with the commit before. A
deliberate break is listed with its reason in docs/breaking-changes.txt. If there is nothing to compare with, for
example in a shallow clone, the script says so and succeeds.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from openapi_diff import Diff

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = ROOT / "docs" / "breaking-changes.txt"


def git(*arguments):
    """The output of a git command as bytes. None if it fails."""
    ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True)
    return ran.stdout if ran.returncode == 0 else None


def commit(*arguments):
    """The id of the commit that a git command prints. None if there is none."""
    found = git(*arguments)
    return found.decode().strip() if found else None


def reference():
    """The tag or commit to compare with. None if the clone has none."""
    if tag := commit("describe", "--tags", "--abbrev=0", "HEAD~1"):
        return tag
    for main in ("origin/main", "main"):
        if base := commit("merge-base", main, "HEAD"):
            is_main = base == commit("rev-parse", "HEAD")
            return commit("rev-parse", "--verify", "--quiet", "HEAD~1") if is_main else base
    return None


def http(old):
    """Breaking changes of the HTTP API."""
    new = (ROOT / "docs" / "openapi.json").read_text()
    return [f"http: {finding}" for finding in Diff(json.loads(old), json.loads(new)).run()]


def grpc(old, buf):
    """Breaking changes of the gRPC API, by the rules in proto/buf.yaml."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "old.tar"
        archive.write_bytes(old)
        command = [buf, "breaking", "proto", "--against", f"{archive}#subdir=proto", "--error-format", "json"]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    # buf exits with 100 if it has findings.
    if ran.returncode not in (0, 100):
        sys.exit(f"buf breaking failed: {ran.stderr}")
    return sorted({f"grpc: {json.loads(line)['message']}" for line in ran.stdout.splitlines()})


def allowed(text):
    """The listed findings. Each must follow a comment with the reason."""
    listed, has_reason = set(), False
    for line in text.splitlines():
        if not line.strip():
            has_reason = False
        elif line.startswith("#"):
            has_reason = True
        elif has_reason:
            listed.add(line.strip())
        else:
            sys.exit(f'{ALLOWED.relative_to(ROOT)}: "{line}" has no comment above it that gives the reason')
    return listed


def main():
    base = reference()
    document = base and git("show", f"{base}:docs/openapi.json")
    protos = base and git("archive", "--format=tar", base, "proto")
    if not (document and protos):
        reason = f"{base} has no API" if base else "this clone has no tag and no history up to main; run git fetch --tags --unshallow"
        print(f"NOT CHECKED: breaking changes of the APIs ({reason}).", file=sys.stderr)
        return
    findings = http(document) + grpc(protos, sys.argv[1])
    listed = allowed(ALLOWED.read_text())
    if unexpected := [finding for finding in findings if finding not in listed]:
        sys.exit("\n".join([
            f"These changes since {base} break clients. Avoid them, or list them in {ALLOWED.relative_to(ROOT)}:", *unexpected,
        ]))
    print(f"No breaking changes of the APIs since {base}, apart from {len(findings)} that are listed")
    for entry in sorted(listed - set(findings)):
        print(f"note: listed, but no longer a change since {base}: {entry}")


if __name__ == "__main__":
    main()
