"""What operators rely on: requests to step down (rule 19), the children of `run` (3), marks that no pod deletes (28)."""

from mutants.mutant import Mutant

CANDIDACY = "singleton_jobs/renewal/candidacy.py"
SUPERVISOR = "singleton_jobs/cli/run/supervisor.py"
ASKED = "unit/decisions/test_asked_to_step_down.py"
RUN = "cli/test_run.py"
RBAC = "cli/test_rbac.py"

MUTANTS = [
    Mutant(
        19,
        "anybody-steps-down",
        "a holder obeys a request that names somebody else",
        "singleton_jobs/decisions/candidate.py",
        "seen.asked_to_step_down == hold.identity",
        "seen.asked_to_step_down is not None",
        (ASKED,),
    ),
    Mutant(
        19,
        "nobody-steps-down",
        "a request to step down is not heeded",
        CANDIDACY,
        "if self.candidate.asked_to_step_down and",
        "if False and",
        (ASKED,),
    ),
    Mutant(
        19,
        "locks-step-down",
        "a lock that was taken is given back because somebody asks",
        CANDIDACY,
        "if self.candidate.asked_to_step_down and self._sticky and",
        "if self.candidate.asked_to_step_down and",
        (ASKED,),
    ),
    Mutant(
        19,
        "request-stays",
        "a request to step down outlives the next write",
        "singleton_jobs/locks/record.py",
        " if name != STEP_DOWN_ANNOTATION}",
        "}",
        (ASKED,),
    ),
    Mutant(
        3,
        "theft-leaves-time",
        "a child lives on after its lease was taken by another",
        SUPERVISOR,
        'if ended == "expired" else now',
        "if ended else now",
        (f"{RUN}::test_a_hold_that_ran_out_leaves_time_and_any_other_end_none",),
    ),
    Mutant(
        3,
        "child-outlives-the-record",
        "a child is killed only when another may lead already",
        SUPERVISOR,
        "config.lease_duration - config.renew_deadline - BEFORE_TAKEOVER",
        "config.lease_duration - config.renew_deadline",
        (f"{RUN}::test_a_hold_that_ran_out_leaves_time_and_any_other_end_none",),
    ),
    Mutant(
        28,
        "policy-lets-marks-be-deleted",
        "the policy allows a pod to delete the lease of a spread job, with what was claimed in it",
        "singleton_jobs/locks/kubernetes/roles.py",
        "f\"request.operation != 'DELETE' && {each}\" for each in lasting",
        "each for each in lasting",
        (f"{RBAC}::test_a_policy_lets_leases_of_keys_alone_be_deleted",),
    ),
    Mutant(
        28,
        "marks-among-keys",
        "leases of spread jobs may have names like those of keys, which a pod may delete",
        "singleton_jobs/cli/rbac.py",
        "        if among:\n",
        "        if among and False:\n",
        (f"{RBAC}::test_bad_input_is_refused",),
    ),
]
