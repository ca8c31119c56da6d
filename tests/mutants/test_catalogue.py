"""Every mutant applies to the source that is shipped, and no rule is without one."""

import pytest

from mutants.catalogue import MUTANTS, RULES, UNBREAKABLE
from mutants.run import TESTS, applied, source


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_one_place_and_names_tests_that_exist(mutant):
    text = source(mutant.file).read_text()
    changed = applied(mutant, text)
    assert changed is not None, f"{mutant.old!r} is in {mutant.file} {text.count(mutant.old)} times"
    compile(changed, mutant.file, "exec")
    assert all((TESTS / test.partition("::")[0]).exists() for test in mutant.tests)


def test_names_are_unique():
    names = [mutant.name for mutant in MUTANTS]
    assert len(names) == len(set(names))


def test_every_rule_is_broken_or_it_is_said_why_not():
    assert {mutant.rule for mutant in MUTANTS} | UNBREAKABLE.keys() == set(RULES)
