"""Readers of the ground truth: result backend, broker, workers. They write nothing and never block Redis."""
