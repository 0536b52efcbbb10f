import logging
from typing import Any, NamedTuple

class Tuple(NamedTuple):
    id: str
    component: str | None
    stream: str | None
    task: int | None
    values: Any

class Component:
    outputs: Any
    topology_name: str | None
    task_id: int | None
    component_name: str
    debug: bool | None
    storm_conf: dict[str, Any] | None
    context: dict[str, Any] | None
    logger: logging.Logger
    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
    def initialize(self, storm_conf: dict[str, Any], context: dict[str, Any], /) -> None: ...
    # By name, all but the values: a spout and a bolt order the others differently.
    def emit(self, tup: Any, **how: Any) -> Any: ...
    def raise_exception(self, exception: BaseException, tup: Tuple | None = None) -> None: ...
    def log(self, message: str, level: str | None = None) -> None: ...
    def run(self) -> None: ...
