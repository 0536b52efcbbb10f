"""`wattstorm status`: how far the stream is, what it refused, who works on it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from wattstorm.cli.common import settings_of
from wattstorm.cli.output import console, print_json, table
from wattstorm.readers.accounts import balance_line
from wattstorm.readers.results import Conservation, DayBalance, PartitionLag, Results


def status(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    seconds: Annotated[
        float, typer.Option(min=0.0, max=60.0, help="Time over which rates are measured.")
    ] = 1.0,
    days: Annotated[
        int, typer.Option(min=0, help="Newest UTC days whose curves are checked; 0: all.")
    ] = 8,
    env: Annotated[
        str | None,
        typer.Option("--env", "-e", help="Also what Nimbus of this environment says."),
    ] = None,
    project: Annotated[Path, typer.Option(help="Where config.json is.")] = Path(),
) -> None:
    """\b
    wattstorm status
    wattstorm status --json --seconds 0
    wattstorm status --env production

    Lag of each partition, rates, batches, rejected readings by reason, whether the curves hold
    what the counters say, the health of each process, and the store. Rates are measured only
    while an engine runs. Exit code 1 with an alarm: a partition stands still, a reading is
    unaccounted for, or a curve is not what was counted.
    """
    settings = settings_of(context)
    with Results.open(settings) as results:
        found = gather(results, seconds, days)
    if env is not None:
        from wattstorm.cluster.environment import environment
        from wattstorm.cluster.nimbus import Nimbus
        from wattstorm.cluster.report import topology_report

        with Nimbus(*environment(env, project).nimbus) as nimbus:
            found["storm"] = topology_report(nimbus, settings.storm.name) or {
                "topology": None,
                "status": "not there",
                "components": [],
                "errors": [],
            }
    if as_json:
        print_json(found)
    else:
        _print(found)
    if found["alarms"]:
        raise typer.Exit(1)


def gather(results: Results, seconds: float, days: int = 8) -> dict[str, Any]:
    """Everything `status` shows, as plain values."""
    health = results.health()
    before, at = results.audit(), time.monotonic()
    if health.running and seconds:
        time.sleep(seconds)
    audit, elapsed = results.audit(), time.monotonic() - at
    measured = health.running and seconds > 0
    lags, account = results.lag(), results.conservation()
    balances = results.balances(results.utc_days()[-days:])

    def rate(name: str) -> float | None:
        grown = audit.get(name, 0) - before.get(name, 0)
        return round(grown / elapsed, 1) if measured else None

    return {
        "running": health.running,
        "store": {
            "product": health.store,
            "address": results.connection.address,
            "append_only": health.append_only,
            "warnings": list(health.warnings),
        },
        "rates": {"readings_per_s": rate("received"), "batches_per_s": rate("batches")},
        "batches": audit.get("batches", 0),
        "blocks": audit.get("blocks", 0),
        "waiting_blocks": health.waiting_blocks,
        "partitions": [{**vars(lag), "waiting_blocks": lag.waiting_blocks} for lag in lags],
        "conservation": account.as_dict(),
        "conservation_line": account.line(),
        "balances": [{**asdict(balance), "holds": balance.holds} for balance in balances],
        "balance_line": balance_line(balances),
        "alarms": list(_alarms(lags, account, balances)),
        "dead_letters": asdict(results.dead_letters()),
        "workers": list(health.workers),
    }


def _alarms(
    lags: Sequence[PartitionLag], account: Conservation, balances: Sequence[DayBalance]
) -> Iterator[str]:
    """What a person has to look at; see docs/operate.md."""
    for lag in lags:
        if lag.fault:
            yield f"partition {lag.partition} stands still: {lag.fault}"
    if not account.holds:
        yield f"readings are unaccounted for: {account.line()}"
    if not all(balance.holds for balance in balances):
        yield balance_line(balances)


def _print(found: dict[str, Any]) -> None:
    out = console()
    store, rates = found["store"], found["rates"]
    aof = "append-only file on" if store["append_only"] else "no append-only file"
    out.print(f"store      {store['product']}, {store['address']}, {aof}", soft_wrap=True)
    for warning in store["warnings"]:
        out.print(f"           warning: {warning}", soft_wrap=True)
    running = "runs" if found["running"] else "does not run (start it: wattstorm run)"
    out.print(f"engine     {running}")
    if rates["readings_per_s"] is not None:
        out.print(
            f"rates      {rates['readings_per_s']:,.0f} readings/s, "
            f"{rates['batches_per_s']:,.1f} batches/s"
        )
    out.print(f"batches    {found['batches']:,} with {found['blocks']:,} blocks")
    out.print(f"readings   {found['conservation_line']}", soft_wrap=True)
    out.print(f"curves     {found['balance_line'].removeprefix('curves ')}", soft_wrap=True)
    dead = found["dead_letters"]
    out.print(
        f"refused    {dead['held']:,} letters held, {dead['dropped']:,} dropped at the bound "
        f"({dead['dropped_readings']:,} readings)",
        soft_wrap=True,
    )
    for alarm in found["alarms"]:
        out.print(f"ALARM      {alarm}", soft_wrap=True, markup=False)
    if found["workers"]:
        names = ("topology", "worker", "pid", "host", "state", "restarts", "alive")
        rows = [
            [*(worker.get(name, "") for name in names), _slowest(worker.get("instruments") or {})]
            for worker in found["workers"]
        ]
        out.print()
        print(table([*names[:2], f">{names[2]}", *names[3:], "p99 ms"], rows))
    if found["partitions"]:
        shown = ("partition", "tail", "fence", "waiting_blocks", "waiting_bytes")
        rows = [[f"{lag[name]:,}" for name in shown] for lag in found["partitions"]]
        out.print()
        print(table([f">{name}" for name in shown], rows))
    if "storm" in found:
        _print_storm(found["storm"])


def _slowest(instruments: dict[str, Any]) -> str:
    """The two things that a task waits for longest, out of what it measured."""
    took = {name: ms["p99"] for name, ms in instruments.get("ms", {}).items()}
    longest = sorted(took, key=lambda name: -took[name])[:2]
    return ", ".join(f"{name} {took[name]:,.1f}" for name in longest)


def _print_storm(storm: dict[str, Any]) -> None:
    out = console()
    out.print()
    if storm["topology"] is None:
        out.print("storm      the topology is not there (wattstorm deploy)")
        return
    out.print(
        f"storm      {storm['topology']} {storm['status']}, up {storm['uptime_s']:,} s, "
        f"{storm['workers']} workers, {storm['tasks']} tasks"
    )
    names = ("component", "tasks", "emitted", "acked", "failed", "latency_ms")
    rows = [
        [
            *(
                ("" if row[name] is None else f"{row[name]:,}")
                if name != "component"
                else row[name]
                for name in names
            ),
            " ".join(row["workers"]),
        ]
        for row in storm["components"]
    ]
    print(table([names[0], *(f">{name}" for name in names[1:]), "workers"], rows))
    for error in storm["errors"]:
        when = time.strftime("%H:%M:%S", time.localtime(error["at"]))
        out.print(
            f"error      {when} {error['component']} on {error['where']}: {error['error']}",
            soft_wrap=True,
            markup=False,
        )
