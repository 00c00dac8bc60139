"""Runs a chord with retries and a straggler on a real worker, takes what is exported, and draws it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.support.otlp import Collector, Span
from tests.support.polling import wait_until
from tests.support.servers import Processes, RedisServer, celery, clean_environment, run
from tests.tracing_picture.waterfall import waterfall

SHOP = Path(__file__).parent / "shop"
SPANS = {"POST /reports": 1, "chord shop.report": 1, "process shop.prices": 8, "process shop.report": 1}


def exported(folder: Path) -> list[Span]:
    """Run the chord; return its spans."""
    processes, collector = Processes(folder), Collector()
    try:
        redis = RedisServer(processes)
        shop = {"SHOP_BROKER": redis.url(0), "SHOP_BACKEND": redis.url(1)}
        command = celery("-A", "shop", "worker", "-c", "3", "-l", "INFO", "-n", "shop@one")
        worker = clean_environment(**shop, **collector.environment("worker"))
        processes.start("worker", *command, cwd=SHOP, env=worker)
        wait_until(lambda: " ready." in processes.log("worker"), "the worker is ready")
        web = clean_environment(**shop, **collector.environment("web"))
        done = run(sys.executable, "web.py", cwd=SHOP, env=web)
        assert done.returncode == 0, done.stderr
        return collector.wait_for(SPANS)
    finally:
        processes.stop()
        collector.close()


def main() -> None:
    """Write the picture to the file that is named."""
    with tempfile.TemporaryDirectory() as folder:
        spans = exported(Path(folder))
    picture = Path(sys.argv[1])
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_text(waterfall(spans), encoding="utf-8")


if __name__ == "__main__":
    main()
