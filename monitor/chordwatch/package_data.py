"""Where the files are that come with the package and are no Python modules of it. Runs in any process, reads nothing.

A wheel has them inside the package; a checkout has them at the repository's root, where people look for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def data_folder(name: Literal["dashboards", "alerts"]) -> Path:
    """Return the folder of the dashboards (Streamlit, Flower's configuration, Grafana) or of the alert rules."""
    package = Path(__file__).resolve().parent
    inside = package / name
    return inside if inside.is_dir() else package.parents[1] / name
