"""Types of the parts of streamparse that wattstorm uses; streamparse ships none."""

from typing import Any, ClassVar

from pystorm.component import Component, Tuple

class Grouping:
    SHUFFLE: ClassVar[Any]
    GLOBAL: ClassVar[Any]
    ALL: ClassVar[Any]
    NONE: ClassVar[Any]
    DIRECT: ClassVar[Any]
    LOCAL_OR_SHUFFLE: ClassVar[Any]
    @classmethod
    def fields(cls, *fields: str) -> Any: ...

class Stream:
    def __init__(
        self, fields: list[str] | None = None, name: str = "default", direct: bool = False
    ) -> None: ...

class Spec:
    """What `spec` gives: a component's place in a topology."""

    component_cls: type[Component]
    name: str
    par: int
    config: dict[str, Any]
    inputs: dict[Any, Any]
    outputs: dict[str, Any]
    def __getitem__(self, stream: str) -> Any: ...

class Spout(Component):
    @classmethod
    def spec(
        cls,
        name: str | None = None,
        par: int | dict[str, int] | None = None,
        config: dict[str, Any] | None = None,
    ) -> Spec: ...
    def next_tuple(self) -> None: ...
    def ack(self, tup_id: str, /) -> None: ...
    def fail(self, tup_id: str, /) -> None: ...
    def activate(self) -> None: ...
    def deactivate(self) -> None: ...

class Bolt(Component):
    auto_anchor: ClassVar[bool]
    auto_ack: ClassVar[bool]
    auto_fail: ClassVar[bool]
    @classmethod
    def spec(
        cls,
        name: str | None = None,
        inputs: Any = None,
        par: int | dict[str, int] | None = None,
        config: dict[str, Any] | None = None,
    ) -> Spec: ...
    def process(self, tup: Tuple, /) -> None: ...
    def process_tick(self, tup: Tuple, /) -> None: ...
    def ack(self, tup: Tuple | str, /) -> None: ...
    def fail(self, tup: Tuple | str, /) -> None: ...

class Topology:
    config: ClassVar[dict[str, Any] | None]
    specs: ClassVar[list[Spec]]
    thrift_bolts: ClassVar[dict[str, Any]]
    thrift_spouts: ClassVar[dict[str, Any]]
