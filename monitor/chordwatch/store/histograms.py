"""The histograms' buckets, the same in the script, in the twin and in `/metrics`."""

from __future__ import annotations

#: Upper bounds in seconds, inclusive; one more bucket stands for everything beyond.
BUCKETS: tuple[float, ...] = (
    *(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0),
    *(150.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 21600.0, 86400.0),
)
