"""`python -m chaos.scenarios [SHARE]`: only the scenarios."""

import sys

from scoreboard import show

from chaos.scenarios import measure
from chaos.stage import stage

with stage() as made:
    figures = measure(made, float(sys.argv[1]) if len(sys.argv) > 1 else 1.0)
sys.exit(0 if show(figures, "Scenarios on a real API server") else 1)
