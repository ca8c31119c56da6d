"""All mutants."""

from mutants import attempts, claims, ending, holding, operating, renewing, stores, taking, watching, writing

MUTANTS = [
    *holding.MUTANTS,
    *taking.MUTANTS,
    *writing.MUTANTS,
    *ending.MUTANTS,
    *claims.MUTANTS,
    *attempts.MUTANTS,
    *stores.MUTANTS,
    *renewing.MUTANTS,
    *operating.MUTANTS,
    *watching.MUTANTS,
]
