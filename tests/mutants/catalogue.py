"""All mutants."""

from mutants import (
    attempts,
    bids,
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
    *bids.MUTANTS,
    *keys.MUTANTS,
    *stores.MUTANTS,
    *renewing.MUTANTS,
    *operating.MUTANTS,
    *watching.MUTANTS,
]
