from typing import Any

storm_thrift: Any
