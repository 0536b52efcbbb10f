"""The stream's page as HTML: rates, lag, latencies, rejects, the accounts, tasks and models."""

from __future__ import annotations

from html import escape
from typing import Any

from wattstorm.serve.page import figures
from wattstorm.serve.page.markup import alarms
from wattstorm.serve.page.now import Now
from wattstorm.serve.page.outlook import models
from wattstorm.serve.page.tables import table
from wattstorm.serve.page.vitals import Vitals

REASONS = {
    "unknown_meter": "no meter of the register",
    "too_old": "older than the open days",
    "too_high": "above what the contract allows",
    "future": "of a time to come",
    "unreadable": "a row that is no reading",
    "shed": "dropped at the backlog's bound",
}
_MOST_ROWS = 12


def parts(now: Now) -> dict[str, str]:
    """Part of the page → its HTML."""
    vitals = now.vitals
    if vitals is None:
        names = ("alarms", "rates", "accounts", "rejects", "lags", "waits", "tasks", "models")
        return dict.fromkeys(names, "")
    return {
        "alarms": alarms(now.alarms),
        "rates": rates(vitals),
        "accounts": accounts(vitals),
        "rejects": rejects(vitals),
        "lags": lags(vitals),
        "waits": waits(vitals),
        "tasks": tasks(vitals),
        "models": models(now.outlook),
    }


def rates(vitals: Vitals) -> str:
    """The figures at the top."""
    readings, batches = vitals.rates or (None, None)
    slowest = vitals.slowest()
    worst = f"{figures.digits(slowest[0][3])} ms" if slowest else figures.NOTHING
    bytes_waiting = sum(lag.waiting_bytes for lag in vitals.lags)
    rows = [
        ("Readings", _rate(readings), "per second"),
        ("Batches", _rate(batches), "per second"),
        (
            "Waiting",
            f"{vitals.waiting_blocks:,}",
            f"blocks, {figures.quantity(bytes_waiting, 'B')}",
        ),
        ("Longest p99", worst, f"{slowest[0][0]}: {slowest[0][1]}" if slowest else "no task"),
        ("Received", figures.count(vitals.account.received), "readings in all"),
    ]
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(note)}</small></dd></div>"
        for name, value, note in rows
    )


def _rate(per_s: float | None) -> str:
    return figures.NOTHING if per_s is None else figures.count(round(per_s))


def accounts(vitals: Vitals) -> str:
    """Whether every reading is accounted for, and the curves hold what was counted."""
    account = vitals.account
    balanced = all(balance.holds for balance in vitals.balances)
    parts_of = [
        ("received", account.received, account.holds),
        ("accepted", account.accepted, True),
        ("rejected", sum(account.rejected.values()), True),
        ("doubles", account.doubles, True),
    ]
    signs = ("", "=" if account.holds else "≠", "+", "+")
    equation = "".join(
        f'<span class="sign">{sign}</span><span class="term"><b>{n:,}</b>{name}</span>'
        for sign, (name, n, _) in zip(signs, parts_of, strict=True)
    )
    held, dropped = vitals.letters
    return (
        f'<p class="equation {"holds" if account.holds else "broken"}">{equation}</p>'
        f'<p class="{"holds" if balanced else "broken"}">{escape(vitals.balance)}. '
        f"{held:,} dead letters are held, {dropped:,} fell out at the bound.</p>"
    )


def rejects(vitals: Vitals) -> str:
    found = sorted(vitals.account.rejected.items(), key=lambda item: -item[1])
    if not found:
        return '<p class="calm">No reading was rejected.</p>'
    total = max(1, vitals.account.received)
    rows = [
        (
            escape(f"{name}: {REASONS[name]}" if name in REASONS else name),
            f"{n:,}",
            f"{100 * n / total:.3g} %",
        )
        for name, n in found
    ]
    return table("Rejected readings by reason", ("Reason", ">Readings", ">Share"), rows, raw=True)


def lags(vitals: Vitals) -> str:
    """The partitions that are furthest behind first."""
    order = sorted(vitals.lags, key=lambda lag: (not lag.fault, -lag.waiting_blocks, lag.partition))
    rows = [
        (
            str(lag.partition),
            f"{lag.tail:,}",
            f"{lag.fence:,}",
            f"{lag.waiting_blocks:,}",
            figures.quantity(lag.waiting_bytes, "B"),
            lag.fault or "",
        )
        for lag in order[:_MOST_ROWS]
    ]
    names = ("Partition", ">Log's end", ">In the sums", ">Blocks behind", ">Bytes", "Stands still")
    caption = f"Lag of {len(rows)} of {len(order)} partitions, the longest first"
    return table(caption, names, rows)


def waits(vitals: Vitals) -> str:
    rows = [
        (f"{task}: {name}", f"{figures.digits(p50)} ms", f"{figures.digits(p99)} ms")
        for task, name, p50, p99 in vitals.slowest()[:_MOST_ROWS]
    ]
    if not rows:
        return '<p class="calm">No task has measured anything in the last minute.</p>'
    return table("What tasks wait for, the last minute", ("Step", ">p50", ">p99"), rows)


def tasks(vitals: Vitals) -> str:
    """Processes of the local engine or tasks of Storm, with what each says of itself."""
    if not vitals.workers:
        return '<p class="calm">No process has ever run on this store: wattstorm run.</p>'
    rows = []
    for worker in vitals.workers:
        levels: dict[str, Any] = (worker.get("instruments") or {}).get("levels") or {}
        memory = levels.get("memory_mb")
        rows.append(
            (
                str(worker["worker"]),
                str(worker.get("state", "")) if worker["alive"] else "silent",
                str(worker.get("host", "")),
                str(worker.get("pid", "")),
                str(worker.get("restarts", "")),
                "" if memory is None else figures.quantity(1e6 * memory, "B"),
                str(worker.get("storm") or "local engine"),
            )
        )
    names = ("Task", "State", "Host", ">Process", ">Restarts", ">Memory", "Engine")
    return table("Tasks and their processes", names, rows)
