"""The monitor: looks again and again, and serves what it saw over HTTP. Runs in a process of its own."""
