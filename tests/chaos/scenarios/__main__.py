"""`python -m chaos.scenarios --share 0.15`: only the scenarios."""

import argparse
import sys

from scoreboard import show

from chaos.scenarios import measure
from chaos.stage import stage

parser = argparse.ArgumentParser(prog="chaos.scenarios", description=__doc__)
parser.add_argument("--share", type=float, default=1.0, help="of all their cases")
share = parser.parse_args().share
with stage() as made:
    figures = measure(made, share)
sys.exit(0 if show(figures, "Scenarios on a real API server") else 1)
