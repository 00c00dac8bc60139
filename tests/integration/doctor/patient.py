"""A project whose doctor is called as its owner calls it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from tests.integration.xray.stranger import HERE, Stranger
from tests.support.servers import celery, run


def call(stranger: Stranger, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `celery -A project chords doctor` with these options."""
    env = {**stranger.environment(), **environment}
    return run(*celery("-A", "project", "chords", "doctor", *options), cwd=HERE, env=env)


def findings(stranger: Stranger, *options: str, **environment: str) -> dict[str, dict[str, Any]]:
    """Return the findings by rule; stdout must be one document, and the exit code what the findings say."""
    done = call(stranger, "--format", "json", *options, **environment)
    document = json.loads(done.stdout)
    errors = [finding for finding in document["findings"] if finding["severity"] == "error"]
    assert done.returncode == (1 if errors else 0), done.stderr
    return {finding["rule"]: finding for finding in document["findings"]}
