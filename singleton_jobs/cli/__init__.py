"""The `singleton-jobs` command."""

import click

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="singleton-jobs", prog_name="singleton-jobs")
def main() -> None:
    """Scheduled jobs that run on exactly one replica."""


@main.command()
@click.option("--kubernetes", is_flag=True, help="Keep the lease in the cluster of the current kubeconfig context.")
@click.option("--seconds", type=click.IntRange(10, 600), default=24, show_default=True, help="How long the job ticks.")
@click.option("--plain", is_flag=True, help="Print plain lines, also on a terminal.")
def demo(*, kubernetes: bool, seconds: int, plain: bool) -> None:
    """Start three replicas, kill the one that leads, twice, and count who ran what.

    Fails if any tick ran twice or was missed. Everything is kept in a temporary folder, or, with --kubernetes, in one
    Lease that is deleted at the end.
    """
    from .demo import run_demo

    raise SystemExit(run_demo(seconds, kubernetes=kubernetes, plain=plain))
