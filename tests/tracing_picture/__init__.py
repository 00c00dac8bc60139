"""Draws a real trace for the docs: `python -m tests.tracing_picture docs/images/trace.svg`."""
