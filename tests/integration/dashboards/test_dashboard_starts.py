from __future__ import annotations

import sys
from pathlib import Path

import pytest
from dashboard_servers import OTHER_ADDRESS, Server, Start, status_of

from tests.support.servers import ROOT, free_port

pytest.importorskip("streamlit", reason="Streamlit is not installed: the extra `dashboard`")

APP = ROOT / "dashboards" / "app.py"


def dashboard(start: Start, cwd: Path, target: str, **env: str) -> Server:
    """Start the dashboard from the folder `cwd` without any option but its port."""
    url = f"http://127.0.0.1:{free_port()}"
    command = (sys.executable, "-m", "streamlit", "run", target, "--server.port", url.rpartition(":")[2])
    ready = lambda: status_of(f"{url}/_stcore/health") == 200  # noqa: E731  # too small for a def
    return start(*command, url=url, ready=ready, cwd=cwd, **env)


@pytest.mark.parametrize("folder", ["root", "elsewhere"])
def test_it_takes_its_own_configuration_wherever_it_is_started(
    start: Start, tmp_path: Path, folder: str
) -> None:
    cwd, target = (ROOT, "dashboards/app.py") if folder == "root" else (tmp_path, str(APP))
    server = dashboard(start, cwd, target, HOME=str(tmp_path))

    assert status_of(server.url) == 200
    assert status_of(server.url.replace("127.0.0.1", OTHER_ADDRESS)) == 0
    log = server.log.read_text()
    assert server.url in log
    assert "External URL" not in log
    assert "usage statistics" not in log


def test_an_address_in_the_environment_wins_over_its_configuration(start: Start) -> None:
    server = dashboard(start, ROOT, "dashboards/app.py", STREAMLIT_SERVER_ADDRESS="0.0.0.0")

    assert status_of(server.url.replace("127.0.0.1", OTHER_ADDRESS) + "/_stcore/health") == 200
    # Streamlit would ask a host on the internet for this machine's address, to print it.
    assert "external" not in server.log.read_text().lower()
