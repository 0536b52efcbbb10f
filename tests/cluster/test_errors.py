"""An error in a task is seen, and costs nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cluster.site import Feeding, Site
from tests.stream.town import a_stream, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180, method="signal")]


@pytest.mark.parametrize(
    ("topology", "text"),
    [
        pytest.param("RaisingCurves", "ran backwards", id="exception"),
        pytest.param("NumpyCurves", "np.int64", id="swallowed-emit"),
    ],
)
def test_a_bolts_error_shows_in_nimbus_and_loses_nothing(
    site: Callable[..., Site], topology: str, text: str
) -> None:
    """An exception, and an emit that pystorm would log and swallow, its input acked."""
    here = site(1_000, 300)
    stream = a_stream(6, 1_000, 144)
    here.submit("faulty", topology=f"tests.cluster.faulty:{topology}")
    feeding = Feeding(here.town, stream, 2_000)
    feeding.start()
    wait_until(lambda: text in errors(here), 40, "the error's text in Nimbus")
    feeding.finish()
    here.wait_drained(60)
    assert (here.town.directory / "struck").exists()
    here.assert_exact(stream)


def errors(here: Site) -> str:
    """What Nimbus knows of errors of the bolt, in one text."""
    with here.nimbus() as nimbus:
        found = nimbus.errors(nimbus.topology("faulty").id)  # type: ignore[union-attr]
    return "\n".join(error.error for component, error in found if component == "aggregate")
