"""Writes the parameters of an environment for `sam deploy`, with the newest migration, and reports missing ones.

Usage: parameters.py SOURCE TARGET
"""

import sys
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]


def missing(given, source):
    """Returns errors that CloudFormation would report only after everything has been built and uploaded."""
    filled = {name for name, value in given.items() if str(value).strip()}
    found = [f"{source}: {name} is empty" for name in ("CertificateArn", "AuthIssuer", "AuthAudience") if name not in filled]
    if len(filled & {"AuthJwks", "AuthJwksUrl"}) != 1:
        found.append(f"{source}: give AuthJwks or AuthJwksUrl, exactly one of them")
    if "AuthJwksUrl" in filled and given.get("NatGateway") != "true" and "VpcId" not in filled:
        found.append(f'{source}: AuthJwksUrl needs NatGateway: "true", or an existing VPC')
    if given.get("Architecture") not in ("arm64", "x86_64"):
        found.append(f"{source}: Architecture must be arm64 or x86_64")
    return found


def unknown(given, source):
    template = (ROOT / "template.yaml").read_text()
    declared = template[template.index("\nParameters:") : template.index("\nRules:")]
    return [f"{source}: template.yaml has no parameter {name}" for name in given if f"\n  {name}:\n" not in declared]


def main():
    source, target = map(Path, sys.argv[1:])
    given = YAML(typ="safe").load(source)
    if not isinstance(given, dict):
        sys.exit(f"{source} must be a map from parameters to values")
    found = missing(given, source) + unknown(given, source)
    if found:
        sys.exit("\n".join(found))
    given["SchemaVersion"] = max(path.name for path in (ROOT / "migrations").glob("*.sql")).split("_")[0]
    writer = YAML()
    # Keeps the long JWKS on one line.
    writer.width = 1_000_000
    with target.open("w", encoding="utf-8") as file:
        writer.dump({name: str(value) for name, value in given.items()}, file)
    for name, value in given.items():
        print(f"  {name:24} {value}")


main()
