"""Training in a process of its own: R may die, hang or lose its mind, and nothing else does."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from models.forecast.calendar import Calendar, Floats
from models.forecast.model_set import ModelSet
from models.forecast.trainers.training import train_set, trainer_named
from wattstorm.errors import TrainingError, WattstormError

Heard = Callable[[str, int], Any]


@dataclass(frozen=True)
class Given:
    """What is fitted: covariates and load of the training days, the calendar, known slots."""

    values: dict[str, Floats]
    load: Floats
    calendar: Calendar
    known: int


def _work(pipe: Connection, trainer: str, given: Given) -> None:
    """The child: fits, and tells each slot; ends with the models or with the error's words."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        fits = trainer_named(trainer)
        models = train_set(
            *(given.values, given.load, given.calendar, given.known, fits),
            tell=lambda family, slot: pipe.send((family, slot)),
        )
        pipe.send((models, fits.tools))
    except WattstormError as error:
        pipe.send((error, ""))
    except Exception as error:
        what = f"{trainer} failed: {error}"
        pipe.send((TrainingError(what, traceback.format_exc(limit=-1).strip()), ""))


def train_apart(
    trainer: str,
    given: Given,
    *,
    patience: float,
    heard: Heard = lambda family, slot: None,
) -> tuple[ModelSet, str]:
    """The fitted models and the trainer's version. TrainingError if the process dies, or tells
    nothing for `patience` seconds: then it is killed."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, trainer, given), daemon=True)
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
            if isinstance(told[0], ModelSet):
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
