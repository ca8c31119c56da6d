"""What a pod must be allowed: its Role, and a policy that keeps pods from writing each other's holds.

The text is what people apply, comments and all.
"""

from collections.abc import Sequence

__all__ = ["ANOTHER_NAME", "admission_policy", "manifests", "role", "to_apply"]

ANOTHER_NAME = "this account keeps no lease of that name"  # as the policy refuses it


WATCH_ALL = """
# One watch for any number of leases: a pod reads every lease of the namespace, who holds it and what ran when.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [list, watch]"""
KEYS_GO = """ Each of its pods may delete a lease of a key
# that another pod holds, since whoever comes by sweeps those of dead holders, and admission sees no clock."""
JOBS_STAY = """
# A pod deletes no lease of a job: a fire that is claimed in it could run again."""
EVENTS = """
# For the hook that tells of hand-overs.
- apiGroups: [""]
  resources: [events]
  verbs: [create]"""


def role(
    leases: Sequence[str] = (),
    namespace: str | None = None,
    app: str = "singleton-jobs",
    *,
    events: bool = False,
    watch_all: bool = False,
    keyed: Sequence[str] = (),
    spread: Sequence[str] = (),
) -> str:
    """The Role that lets a pod hold ``leases``, those of any key of ``keyed``, and those of any job of ``spread``.

    With ``watch_all``, also see all leases of the namespace; with ``events``, tell of hand-overs as Kubernetes Events.
    """
    held, keys, jobs = leases and _held(leases), keyed and _kept_by_key(keyed), spread and _taken_by_job(spread)
    rules = f"{held or ''}{keys or ''}{jobs or ''}"
    return f"""\
# All that a replica may do: hold these leases.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
{_metadata(app, namespace)}
rules:{rules}{WATCH_ALL if watch_all else ""}{EVENTS if events else ""}
"""


def to_apply(role: str) -> str:
    """How an error goes on that ``role`` would have prevented."""
    return f"\nApply this Role, bound to the pod's service account:\n{role}".rstrip()


def manifests(
    leases: Sequence[str],
    namespace: str | None,
    app: str,
    *,
    events: bool = False,
    watch_all: bool = False,
    keyed: Sequence[str] = (),
    spread: Sequence[str] = (),
) -> str:
    """ServiceAccount, Role and RoleBinding, all called ``app``."""
    subject = f"\n  namespace: {namespace}" if namespace else ""
    return f"""\
# An account of the program's own: giving the leases to `default` would give them to every pod of the namespace.
apiVersion: v1
kind: ServiceAccount
{_metadata(app, namespace)}
---
{role(leases, namespace, app, events=events, watch_all=watch_all, keyed=keyed, spread=spread)}---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
{_metadata(app, namespace)}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {app}
subjects:
- kind: ServiceAccount
  name: {app}{subject}
"""


def admission_policy(
    leases: Sequence[str], namespace: str, app: str, keyed: Sequence[str] = (), spread: Sequence[str] = ()
) -> str:
    """A ValidatingAdmissionPolicy and its binding: a hold is written, and emptied, only by its own pod.

    With ``keyed`` or ``spread``, another one limits the account to ``leases`` and those of keys and jobs.
    """
    name = f"singleton-jobs-{namespace}-{app}"
    names = "".join(f"\n      - {lease}" for lease in leases)
    matched = f"\n      resourceNames:{names}"
    if keyed or spread:
        bases = [*keyed, *spread]
        ours = " || ".join([*_among("object.metadata.name", leases), *_beginning("object.metadata.name", bases)])
        matched = f"""
  matchConditions:
  - name: kept-by-replicas
    expression: "{ours}\""""
    return f"""\
# A hold is written, and emptied, only by the pod that its holder names. Admission sees no clock: whether a hold that
# is taken over has run out is for the replicas to know.
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {name}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups: [coordination.k8s.io]
      apiVersions: [v1]
      operations: [CREATE, UPDATE]
      resources: [leases]{matched}
  variables:
  - name: before
    expression: "oldObject == null ? '' : oldObject.?spec.?holderIdentity.orValue('')"
  - name: after
    expression: "object.?spec.?holderIdentity.orValue('')"
  # The pod of this namespace that the caller's token is bound to; empty: none.
  - name: pod
    expression: >-
      request.userInfo.username.startsWith('system:serviceaccount:' + request.namespace + ':')
      ? request.userInfo.?extra['authentication.kubernetes.io/pod-name'].orValue([''])[0] : ''
  - name: ownBefore
    expression: "variables.pod != '' && variables.before.startsWith(variables.pod + '_')"
  - name: ownAfter
    expression: "variables.pod != '' && variables.after.startsWith(variables.pod + '_')"
  # Asking a holder to step down, or mending a ledger, leaves the spec as it is.
  - name: specUnchanged
    expression: "oldObject != null && object.?spec == oldObject.?spec"
  validations:
  - expression: "variables.specUnchanged || variables.after == '' || variables.ownAfter"
    reason: Forbidden
    message: "a lease's holder must be an identity of the pod that writes it: POD_NAME, '_' and a random part"
  - expression: "variables.specUnchanged || variables.after != '' || variables.before == '' || variables.ownBefore"
    reason: Forbidden
    message: "a hold is given back by its own pod only"
---
{_bound(name, namespace)}{_names_policy(leases, namespace, app, keyed, spread) if keyed or spread else ""}"""


def _names_policy(leases: Sequence[str], namespace: str, app: str, keyed: Sequence[str], spread: Sequence[str]) -> str:
    name = f"singleton-jobs-{namespace}-{app}-names"
    lasting = [*_among("variables.lease", leases), *_beginning("variables.lease", spread)]
    named = [f"request.operation != 'DELETE' && {each}" for each in lasting]
    allowed = " || ".join([*_beginning("variables.lease", keyed), *named])
    whose = (("keys", keyed), ("jobs", spread))
    those = " and ".join(f"of {what} of {', '.join(bases)}" for what, bases in whose if bases)
    deletes = (
        "may delete none" if not keyed else "may delete those of keys alone" if spread else "may not delete others"
    )
    told = f"{KEYS_GO if keyed else ''}{JOBS_STAY if spread else ''}"
    return f"""\
---
# The Role of this account is for leases of all names: these are the ones.{told}
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {name}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
    - apiGroups: [coordination.k8s.io]
      apiVersions: [v1]
      operations: [CREATE, UPDATE, DELETE]
      resources: [leases]
  matchConditions:
  - name: this-account
    expression: "request.userInfo.username == 'system:serviceaccount:{namespace}:{app}'"
  variables:
  - name: lease
    expression: "oldObject == null ? object.metadata.name : oldObject.metadata.name"
  validations:
  - expression: "{allowed}"
    reason: Forbidden
    message: "{ANOTHER_NAME}: it does those {those}, and {deletes}"
---
{_bound(name, namespace)}"""


def _among(name: str, leases: Sequence[str]) -> list[str]:
    return [f"{name} in {[*leases]}"] if leases else []


def _beginning(name: str, bases: Sequence[str]) -> list[str]:
    return [f"{name}.startsWith('{base}.')" for base in bases]


def _bound(policy: str, namespace: str) -> str:
    return f"""\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {policy}
spec:
  policyName: {policy}
  validationActions: [Deny]
  matchResources:
    namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: {namespace}
"""


def _held(leases: Sequence[str]) -> str:
    names = "".join(f"\n  - {lease}" for lease in leases)
    return f"""
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames:{names}
  # `create` can be limited by name because a Lease is created with PUT, not POST. There is no `delete`: a lease
  # stays when it is released, with the fencing token and the claimed fires in it. `list` and `watch` let a pod read
  # these leases alone.
  verbs: [get, create, update, list, watch]"""


def _kept_by_key(bases: Sequence[str]) -> str:
    return f"""
# One lease per key of {", ".join(bases)}, there while it is held. Their names are not known in advance, and a Role
# knows no prefixes, so this is for all leases of the namespace: an admission policy can limit it to these.
# `list` finds what crashed holders have left, `delete` keeps anything from being left behind.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update, delete, list]"""


def _taken_by_job(bases: Sequence[str]) -> str:
    return f"""
# One lease per job of {", ".join(bases)}, taken for each run. Unless their names are given, this is for all leases of
# the namespace, as a Role knows no prefixes: an admission policy can limit it to these. There is no `delete`: a job's
# lease stays, with the claimed fires in it. `list` and `watch` tell all replicas at once who has taken which.
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, update, list, watch]"""


def _metadata(name: str, namespace: str | None) -> str:
    return f"metadata:\n  name: {name}" + (f"\n  namespace: {namespace}" if namespace else "")
