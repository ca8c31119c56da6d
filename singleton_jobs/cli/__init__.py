"""The `singleton-jobs` command."""

from __future__ import annotations

import asyncio
import sys

import click

from ..hooks.log import printable
from ..names import lease_name
from .target import KUBERNETES, asked_store, common, exits, open_store, print_json, settings

__all__ = ["kubectl_main", "main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="singleton-jobs", prog_name="singleton-jobs")
def main() -> None:
    """Scheduled jobs that run on exactly one replica.

    Exit status: 0, it was done; 1, it was not, or the store could not be read; 2, it was asked wrongly.
    """


def kubectl_main() -> None:
    """``kubectl singleton-jobs``: the same, on the cluster of the kubeconfig."""
    main(prog_name="kubectl singleton-jobs", obj=KUBERNETES)


@main.command()
@click.argument("leases", nargs=-1, metavar="[LEASE]...")
@click.option("-w", "--watch", is_flag=True, help="Look again every 2 seconds.")
@common
def status(*, leases: tuple[str, ...], watch: bool, store: str | None, namespace: str | None, as_json: bool) -> None:
    """Show who leads, since when, and what ran last.

    Of all leases of the namespace (which needs the right to list them), or of those named, with the leases of their
    keys, and of their jobs that are spread over all replicas: such a lease is shown while it is held, and BY says
    where the job ran last. Any Lease will do, also those of other libraries. A holder is alive, late (its own hold has
    run out) or stale (others may take it over).

    Exit status: 0 whenever it could be read.
    """
    from .status import run_status

    with exits():
        names = [lease_name(lease) for lease in leases]
        run_status(open_store(store, namespace), names, watch=watch, as_json=as_json)


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--lease", required=True, help="The lease to compete for.")
@click.option("--grace", type=float, default=10, show_default=True, help="Seconds to end in when the end is planned.")
@click.option("--lease-duration", type=float, help="Seconds until another may take over; 15 unless set otherwise.")
@common
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(
    *,
    lease: str,
    grace: float,
    lease_duration: float | None,
    command: tuple[str, ...],
    store: str | None,
    namespace: str | None,
    as_json: bool,
) -> None:
    """Run any program on exactly one replica.

    For example: singleton-jobs run --lease poller -- ./poll --fast

    It is started when the lease is gained, ended when it is lost, and started again on regain. A lost lease gives
    it SIGTERM, and SIGKILL half a second before another may take over; a stolen one SIGKILL at once. A planned end
    (SIGTERM or SIGINT to this command, or step-down) keeps the lease for up to --grace seconds meanwhile. It finds
    its fencing token in SINGLETON_JOBS_FENCING_TOKEN, and the lease in SINGLETON_JOBS_LEASE.

    Exit status: the program's own once it ends by itself (128 + N after signal N); 127 or 126 if it cannot be run.
    """
    from .run import run_program

    with exits():
        sys.exit(
            run_program(
                command,
                lease,
                grace=grace,
                lease_duration=lease_duration,
                store=asked_store(store, namespace),
                namespace=namespace,
                as_json=as_json,
            )
        )


@main.command("step-down")
@click.argument("lease")
@click.option("--timeout", type=click.FloatRange(min=0.1), default=60, show_default=True, help="Seconds to wait.")
@common
def step_down(*, lease: str, timeout: float, store: str | None, namespace: str | None, as_json: bool) -> None:
    """Ask the holder of LEASE to let another replica lead.

    It ends its running work first; the command waits until another leads. Exit status: 0, another leads, or nobody
    held the lease; 1, nobody else leads yet.
    """
    from .step_down import NotHandedOver, hand_over

    with exits():
        try:
            name = lease_name(lease)
            done = asyncio.run(hand_over(open_store(store, namespace), name, timeout))
        except NotHandedOver as error:
            raise click.ClickException(str(error)) from error
        if as_json:
            print_json(done._asdict())
        elif done.before is None:
            click.echo(f"lease {lease} is held by nobody")
        else:
            click.echo(f"lease {lease} was handed over from {printable(done.before)} to {printable(done.after or '')}")


@main.command()
@click.argument("leases", nargs=-1, metavar="LEASE...")
@click.option("--keyed", multiple=True, metavar="LEASE", help="Also one lease per key of this one; repeatable.")
@click.option("--spread", multiple=True, metavar="LEASE", help="Also one lease per job of this guard; repeatable.")
@click.option("--job", "jobs", multiple=True, metavar="ID", help="Only of this job of --spread; repeatable.")
@click.option("--app", default="singleton-jobs", show_default=True, help="Name of account, Role and binding.")
@click.option("--watch-all", is_flag=True, help="Also: see all leases of the namespace, by one watch.")
@click.option("--events", is_flag=True, help="Also allow what the hook for Kubernetes Events needs.")
@click.option("--admission-policy", is_flag=True, help="Also: only a holder's own pod writes its hold.")
@common
def rbac(
    *,
    leases: tuple[str, ...],
    keyed: tuple[str, ...],
    spread: tuple[str, ...],
    jobs: tuple[str, ...],
    app: str,
    watch_all: bool,
    events: bool,
    admission_policy: bool,
    store: str | None,
    namespace: str | None,
    as_json: bool,
) -> None:
    """Print the account and Role that replicas need.

    A ServiceAccount, a Role for LEASE... and its binding, to be piped to kubectl apply -f -; nothing is asked of
    any cluster. With --admission-policy, which needs a --namespace, also a ValidatingAdmissionPolicy and its
    binding, for a cluster's administrator to apply.

    The leases of keys have no names yet, so --keyed grants all leases of the namespace; the policy, then two, limits
    the account to those whose names begin with LEASE and a dot. So does --spread, for the jobs of an APScheduler
    without a leader, unless all of them are named by --job (of a job store other than the default one: STORE.ID).
    """
    from .rbac import documents

    if not (leases or keyed or spread):
        raise click.UsageError("Missing argument 'LEASE...', --keyed LEASE or --spread LEASE.")
    with exits():
        text = documents(
            leases,
            keyed,
            spread,
            jobs,
            namespace,
            app,
            events=events,
            watch_all=watch_all,
            policy=admission_policy,
            store=store,
        )
        if as_json:
            from yaml import safe_load_all

            print_json({"apiVersion": "v1", "kind": "List", "items": list(safe_load_all(text))})
        else:
            click.echo(text, nl=False)


@main.command()
@click.argument("leases", nargs=-1, metavar="[LEASE]...")
@common
def doctor(*, leases: tuple[str, ...], store: str | None, namespace: str | None, as_json: bool) -> None:
    """Say whether this process would lead, and why not.

    Looks at its settings, store, rights, identity, clock and pace. Run it where the replicas run (kubectl exec),
    with the names of their leases. Exit status: 1 only for what keeps a replica from leading.
    """
    from .findings import report

    with exits():
        sys.exit(asyncio.run(report(settings(store, namespace), leases, as_json=as_json)))


@main.command()
@click.option("--kubernetes", is_flag=True, help="Keep the lease in the cluster of the current kubeconfig context.")
@click.option("--seconds", type=click.IntRange(10, 600), default=24, show_default=True, help="How long the job ticks.")
@click.option("--plain", is_flag=True, help="Print plain lines, also on a terminal.")
def demo(*, kubernetes: bool, seconds: int, plain: bool) -> None:
    """Kill the leader of three replicas, and count.

    Twice: who ran what, was anything doubled or missed? Fails if any tick ran twice or was missed. Everything is
    kept in a temporary folder, or, with --kubernetes, in one Lease that is deleted at the end.
    """
    from .demo import run_demo

    raise SystemExit(run_demo(seconds, kubernetes=kubernetes, plain=plain))
