"""Every mutant applies to the source that is shipped and breaks a rule, and no rule is without one."""

import pytest

from mutants.catalogue import MUTANTS
from mutants.run import TESTS, applied, source
from singleton_jobs.decisions.rules import RULES


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


def test_the_rules_are_numbered_as_the_mutants_name_them():
    assert list(RULES) == list(range(1, len(RULES) + 1))
    assert all(RULES.values())


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_broken(rule):
    assert rule in {mutant.rule for mutant in MUTANTS}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_breaks_a_rule(mutant):
    assert mutant.rule in RULES
