"""`wattstorm deploy`, `wattstorm undeploy`: the stream on a Storm cluster."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from wattstorm.cli.common import open_register, open_store, say, settings_of
from wattstorm.cluster.deployment import START_S, Deployment
from wattstorm.cluster.environment import LOCAL, environment
from wattstorm.cluster.nimbus import Nimbus
from wattstorm.errors import ClusterError
from wattstorm.settings import Settings

Env = Annotated[str, typer.Option("--env", "-e", help="Environment of config.json, or local.")]
Name = Annotated[str | None, typer.Option("--name", help="Setting storm.name.")]
Project = Annotated[Path, typer.Option(help="Where config.json is.")]


@contextlib.contextmanager
def deployment_of(env: str, project: Path, settings: Settings) -> Iterator[Deployment]:
    """The deployment that the options mean, on an open store."""
    target = environment(env, project)
    if not settings.store.url and env != LOCAL:
        raise ClusterError(
            "store.url is empty, and a cluster's workers need a store that they all reach",
            "set REDIS_URL, or store.url in wattstorm.toml",
        )
    register = open_register(settings)
    with open_store(settings) as store:
        yield Deployment(target, settings, store.url, store.connection, register, say)


def deploy(
    context: typer.Context,
    env: Env = LOCAL,
    name: Name = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker JVMs (setting storm.workers).")
    ] = None,
    aggregates: Annotated[
        int | None,
        typer.Option(min=1, help="Tasks that check and sum (setting storm.aggregates)."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check, and print what would be submitted.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds until the first batches must be committed.")
    ] = START_S,
    project: Project = Path(),
) -> None:
    """\b
    wattstorm deploy --env local
    wattstorm deploy --env production --workers 4 --aggregates 16
    wattstorm deploy --env production --dry-run

    Check the cluster and the store, submit the topology, and wait until every task runs and the
    first batches are committed. If that fails, the cluster is left as it was.
    """
    settings = settings_of(
        context, storm__name=name, storm__workers=workers, storm__aggregates=aggregates
    )
    with deployment_of(env, project, settings) as deployment:
        deployment.check()
        tasks = ", ".join(f"{n} {c}" for c, n in deployment.tasks.items())
        say(f"topology   {deployment.name}: {settings.storm.workers} workers, tasks: {tasks}")
        if dry_run:
            json.dump(deployment.options, sys.stdout, indent=2)
            print()
            say("nothing was submitted (--dry-run)")
            return
        identity = deployment.start(timeout)
        say(f"runs       {identity}; wattstorm status --env {env}")


def undeploy(
    context: typer.Context,
    env: Env = LOCAL,
    name: Name = None,
    drain: Annotated[
        bool, typer.Option("--drain", help="First wait until the log is empty.")
    ] = False,
    now: Annotated[bool, typer.Option("--now", help="Wait for nothing.")] = False,
    project: Project = Path(),
) -> None:
    """\b
    wattstorm undeploy --env local
    wattstorm undeploy --env production --drain

    End the topology once what is under way is committed and published. Whatever the way it
    ends, nothing is lost: the log keeps what is not committed, and the next deployment, or
    `wattstorm run`, goes on from there.
    """
    settings = settings_of(context, storm__name=name)
    with deployment_of(env, project, settings) as deployment:
        deployment.stop(drain=drain, now=now)


def deactivate(
    context: typer.Context, env: Env = LOCAL, name: Name = None, project: Project = Path()
) -> None:
    """\b
    wattstorm deactivate --env production

    Ask the spouts for nothing more; what is under way is committed, the log keeps what comes.
    """
    _nimbus(env, project, settings_of(context, storm__name=name), "deactivate")


def activate(
    context: typer.Context, env: Env = LOCAL, name: Name = None, project: Project = Path()
) -> None:
    """\b
    wattstorm activate --env production

    Let a deactivated topology go on, from the fences.
    """
    _nimbus(env, project, settings_of(context, storm__name=name), "activate")


def _nimbus(env: str, project: Path, settings: Settings, what: str) -> None:
    with Nimbus(*environment(env, project).nimbus) as nimbus:
        getattr(nimbus, what)(settings.storm.name)
    say(f"{what}d  {settings.storm.name}")
