"""The dashboard's modules are found as Streamlit finds them: by their folder on sys.path."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
DASHBOARDS = HERE.parents[2] / "dashboards"

for folder in (DASHBOARDS, HERE):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
