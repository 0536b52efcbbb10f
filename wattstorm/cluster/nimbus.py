"""What a Storm cluster says of itself: Nimbus by thrift, with streamparse's interface.

That interface is Storm 1.1's; what is called here has not changed on the wire up to 2.8.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import TracebackType
from typing import Any

from thriftpy2.protocol import TBinaryProtocolFactory
from thriftpy2.rpc import make_client
from thriftpy2.thrift import TException
from thriftpy2.transport import TFramedTransportFactory

from wattstorm.errors import ClusterError

DEFAULT_PORT = 6627


class Nimbus:
    """A connection to the Nimbus at host:port; ClusterError if it does not answer."""

    def __init__(self, host: str, port: int = DEFAULT_PORT, timeout_s: float = 10.0) -> None:
        from streamparse.thrift import storm_thrift  # slow: it compiles the interface

        self.address, self._thrift = f"{host}:{port}", storm_thrift
        try:
            self._client = make_client(
                storm_thrift.Nimbus,
                host=host,
                port=port,
                timeout=int(1000 * timeout_s),
                proto_factory=TBinaryProtocolFactory(),
                trans_factory=TFramedTransportFactory(),
            )
        except (TException, OSError) as error:
            raise ClusterError(
                f"no Nimbus answers at {self.address}: {error_text(error)}",
                "start the cluster (a development one: wattstorm storm up), or correct "
                '"nimbus" of the environment in config.json',
            ) from error

    def summary(self) -> Any:
        """ClusterSummary: supervisors, topologies, nimbuses."""
        return self._call("getClusterInfo")

    def topology(self, name: str) -> Any | None:
        """The TopologySummary of the topology called `name`, or None."""
        return next((t for t in self.summary().topologies if t.name == name), None)

    def info(self, identity: str) -> Any:
        """TopologyInfo: executors with their counts; errors are told by `errors`."""
        return self._info(identity, "NONE")

    def errors(self, identity: str) -> list[tuple[str, Any]]:
        """(component, ErrorInfo) of what tasks reported, the newest first.

        Storm keeps errors in ephemeral nodes: but for the last one of each component they go
        with the worker that reported them, and the last one alone is often only the echo of
        the one before.
        """
        found: dict[tuple[str, int, str], Any] = {}
        for choice in ("ALL", "ONE"):
            for component, errors in self._info(identity, choice).errors.items():
                for error in errors:
                    found[component, error.error_time_secs, error.error] = error
        rows = sorted(found.items(), key=lambda row: -row[0][1])
        return [(key[0], error) for key, error in rows]

    def _info(self, identity: str, errors: str) -> Any:
        choice = getattr(self._thrift.NumErrorsChoice, errors)
        options = self._thrift.GetInfoOptions(num_err_choice=choice)
        return self._call("getTopologyInfoWithOpts", identity, options)

    def conf(self, identity: str) -> dict[str, Any]:
        """A topology's configuration, as everybody may read it."""
        return dict(json.loads(self._call("getTopologyConf", identity)))

    def activate(self, name: str) -> None:
        self._call("activate", name)

    def deactivate(self, name: str) -> None:
        """Its spouts are asked for nothing more; what is under way goes on."""
        self._call("deactivate", name)

    def kill(self, name: str, wait_s: int = 0) -> None:
        self._call("killTopologyWithOpts", name, self._thrift.KillOptions(wait_secs=wait_s))

    def rebalance(self, name: str, workers: int, wait_s: int = 0) -> None:
        """Spread a topology over `workers` workers."""
        options = self._thrift.RebalanceOptions(wait_secs=wait_s, num_workers=workers)
        self._call("rebalance", name, options)

    def _call(self, method: str, *arguments: Any) -> Any:
        call: Callable[..., Any] = getattr(self._client, method)
        try:
            return call(*arguments)
        except self._thrift.NotAliveException as error:
            raise ClusterError(
                f"no topology {arguments[0]!r} runs on {self.address}", "wattstorm status --env …"
            ) from error
        except (TException, OSError) as error:
            raise ClusterError(
                f"Nimbus at {self.address} does not {method}: {error_text(error)}",
                "try again; if it goes on, see Nimbus's log",
            ) from error

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Nimbus:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def error_text(error: Exception) -> str:
    """What a thrift exception says, which `str` does not show."""
    return str(getattr(error, "message", "") or getattr(error, "msg", "") or error)
