"""Lists the size and zipped size of functions' programs. Fails if one exceeds the limit, or cannot run on Lambda.

Usage: lambda-sizes.py arm64|x86_64 FOLDER... (each with a `bootstrap`, such as target/lambda/list-nodes). A program
cannot run if it is made for another processor, or for a newer glibc.
"""

import io
import re
import sys
import zipfile
from pathlib import Path

LIMIT_MB = 5
# The glibc of provided.al2023.
NEWEST_GLIBC = (2, 34)
# `e_machine` of an ELF file.
MACHINES = {62: "x86_64", 183: "arm64"}


def zipped(folder):
    """Returns the size of the folder as `sam deploy` packs it, in bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, path.name)
    return buffer.tell()


def glibc(program):
    """Returns the newest glibc version that the program's symbol table names."""
    versions = re.findall(rb"GLIBC_(\d+)\.(\d+)", program.read_bytes())
    return max(tuple(map(int, version)) for version in versions) if versions else (0, 0)


def machine(program):
    with program.open("rb") as file:
        return MACHINES.get(int.from_bytes(file.read(20)[18:], "little"), "a processor that Lambda does not support")


def faults(folder, architecture):
    name = folder.name
    program = folder / "bootstrap"
    if not program.is_file():
        return [f"{name} is not built: {program} is missing"]
    megabytes = zipped(folder) / 1_000_000
    needs = glibc(program)
    print(f"{name:32} {program.stat().st_size / 1_000_000:6.2f} MB {megabytes:6.2f} MB zipped, glibc {needs[0]}.{needs[1]}")
    found = []
    if machine(program) != architecture:
        found.append(f"{name} is made for {machine(program)}, not for {architecture}")
    if megabytes > LIMIT_MB:
        found.append(f"{name} is {megabytes:.2f} MB zipped, which is more than {LIMIT_MB}")
    if needs > NEWEST_GLIBC:
        found.append(f"{name} needs glibc {needs[0]}.{needs[1]}; provided.al2023 has 2.34. Build on an older system.")
    return found


def main():
    architecture, *folders = sys.argv[1:]
    found = [fault for folder in folders for fault in faults(Path(folder), architecture)]
    sys.exit("\n".join(found) if found else 0)


main()
