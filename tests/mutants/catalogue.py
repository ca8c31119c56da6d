"""All mutants, and the rules that no small change of the shipped source breaks."""

from mutants import holding

MUTANTS = [*holding.MUTANTS]
RULES = range(1, 31)
UNBREAKABLE: dict[int, str] = {}
