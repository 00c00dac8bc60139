"""What tests of every tier share: waiting, ports, a real Redis, real Celery processes."""
