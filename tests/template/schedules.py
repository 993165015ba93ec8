"""Prints for each expression the minutes between two runs as local/scripts/cost.py reads it, or null if it is unknown.

Usage: schedules.py EXPRESSION...
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "local" / "scripts"))

import cost


def minutes(expression):
    try:
        return cost.minutes_between_runs(expression)
    except cost.UnknownSchedule:
        return None


print(json.dumps([minutes(expression) for expression in sys.argv[1:]]))
