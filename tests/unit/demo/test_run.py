from __future__ import annotations

from tasks.demo.run import ROOT, environment


def test_another_projects_celery_settings_do_not_reach_the_demo() -> None:
    theirs = {
        "BROKER_URL": "redis://production",
        "RESULT_BACKEND": "redis://production",
        "CELERY_BROKER_URL": "redis://production",
        "CHORDWATCH_NAMESPACE": "production",
        "FLOWER_PORT": "1",
        "STREAMLIT_SERVER_PORT": "2",
    }

    kept = environment({"PATH": "/bin", **theirs})

    assert kept == {"PATH": "/bin", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
