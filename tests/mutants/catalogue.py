"""All mutants."""

from mutants import (
    attempts,
    claims,
    ending,
    holding,
    keys,
    operating,
    renewing,
    reruns,
    stores,
    taking,
    watching,
    writing,
)

MUTANTS = [
    *holding.MUTANTS,
    *taking.MUTANTS,
    *writing.MUTANTS,
    *ending.MUTANTS,
    *claims.MUTANTS,
    *attempts.MUTANTS,
    *reruns.MUTANTS,
    *keys.MUTANTS,
    *stores.MUTANTS,
    *renewing.MUTANTS,
    *operating.MUTANTS,
    *watching.MUTANTS,
]
