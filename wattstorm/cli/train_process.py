"""Training in a process of its own: R may die, hang or lose its mind, and nothing else does."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from models.forecast.calendar import Calendar, Days, Floats
from models.forecast.formula import STANDARD, Member
from models.forecast.model_set import ModelSet
from models.forecast.trainers.compiling import Fits
from models.forecast.trainers.training import train_set, trainer_named
from models.forecast.warm import warmed
from wattstorm.errors import TrainingError, WattstormError

Heard = Callable[[str, str, int], Any]
"""Curve, family, slot."""
WARMING = "warm"
"""Told in place of a family while the training days are played once more."""


@dataclass(frozen=True)
class Given:
    """What is fitted: covariates and load of the training days, float64[days, S], in a row; the
    calendar, known slots, members. warm: whether the state at their end is wanted."""

    days: Days
    values: dict[str, Floats]
    load: Floats
    calendar: Calendar
    known: int
    members: tuple[Member, ...] = STANDARD
    warm: bool = False


def _work(pipe: Connection, trainer: str, curves: Mapping[str, Given]) -> None:
    """The child: fits, and tells each slot; ends with the models or with the error's words."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        fits = trainer_named(trainer)
        done = {curve: _fitted(curve, given, fits, pipe) for curve, given in curves.items()}
        pipe.send((done, fits.tools))
    except WattstormError as error:
        pipe.send((error, ""))
    except Exception as error:
        what = f"{trainer} failed: {error}"
        pipe.send((TrainingError(what, traceback.format_exc(limit=-1).strip()), ""))


def _fitted(curve: str, given: Given, fits: Fits, pipe: Connection) -> ModelSet:
    """One curve's models, with the state at the end of training if that is wanted."""
    try:
        models = train_set(
            *(given.values, given.load, given.calendar, given.known, fits, given.members),
            tell=lambda family, slot: pipe.send((curve, family, slot)),
        )
    except TrainingError as error:
        raise TrainingError(f"curve {curve}: {error.what}", error.remedy) from error
    if not given.warm:
        return models
    pipe.send((curve, WARMING, 0))
    return replace(models, warm=warmed(models, given.days, given.values, given.load))


def train_apart(
    trainer: str,
    curves: Mapping[str, Given],
    *,
    patience: float,
    heard: Heard = lambda curve, family, slot: None,
) -> tuple[dict[str, ModelSet], str]:
    """The fitted models by curve, all or none, and the trainer's version. TrainingError if the
    process dies, or tells nothing for `patience` seconds: then it is killed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, trainer, curves), daemon=True)
    process.start()
    theirs.close()
    try:
        while True:
            if not ours.poll(patience):
                what = f"{trainer} told nothing for {patience:.0f} s and was killed"
                raise TrainingError(what, "give --patience more seconds, or another --trainer")
            told = _next(ours, process, trainer)
            if isinstance(told[0], WattstormError):
                raise told[0]
            if isinstance(told[0], dict):
                return told[0], str(told[1])
            heard(*told)
    finally:
        process.kill()
        process.join()
        ours.close()


def _next(ours: Connection, process: Any, trainer: str) -> Any:
    """What the child says next; TrainingError where it died instead."""
    try:
        return ours.recv()
    except (EOFError, ConnectionError, pickle.UnpicklingError) as error:
        process.join(10)
        what = f"{trainer} ended without a model, exit code {process.exitcode}"
        raise TrainingError(what, "look at memory and at R's own messages above") from error
