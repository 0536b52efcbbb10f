"""What streamparse calls in a checkout before `sparse submit`.

sparse submit --name load_curves --environment local
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wattstorm.cluster import submission

ROOT = Path(__file__).parent


def pre_submit(
    topology_name: str, env_name: str, env_config: Mapping[str, Any], options: dict[str, Any]
) -> None:
    """Make src/, which streamparse ships, and complete the topology's configuration."""
    submission.link_sources(ROOT, ROOT)
    submission.pre_submit(topology_name, env_name, env_config, options)
