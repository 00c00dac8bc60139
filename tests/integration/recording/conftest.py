"""A crew for each test: its own Redis servers, and an oracle."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import Processes
from tests.support.workflows.crew import Crew


@pytest.fixture
def crew(processes: Processes) -> Iterator[Crew]:
    """Servers without workers, whose project is instrumented."""
    crew = Crew(processes)
    yield crew
    crew.close()
