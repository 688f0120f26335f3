"""Prints all figures: `python -m tools.bench`."""

from tools.bench.costs import print_costs
from tools.bench.waits import print_waits

print_costs()
print_waits()
