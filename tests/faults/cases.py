"""All cases: importing their modules enters them into the table."""

from __future__ import annotations

from tests.faults import chord_cases, worker_cases
from tests.faults.scenes import CASES, SCENES, Case

__all__ = ["CASES", "SCENES", "Case", "chord_cases", "worker_cases"]
