"""All mutants, and the rules that no small change of the shipped source breaks."""

from mutants import claims, ending, holding, operating, renewing, stores, taking, writing

MUTANTS = [
    *holding.MUTANTS,
    *taking.MUTANTS,
    *writing.MUTANTS,
    *ending.MUTANTS,
    *claims.MUTANTS,
    *stores.MUTANTS,
    *renewing.MUTANTS,
    *operating.MUTANTS,
]
RULES = range(1, 31)
UNBREAKABLE: dict[int, str] = {}
