"""What a finding in a task's code depends on."""

from __future__ import annotations

from pathlib import Path

import kombu

from chordwatch.doctor.scan.task_rules import QUEUE_OPTIONS
from tests.unit.doctor_scan.written import project


def test_ignore_is_an_error_in_a_task_that_stands_in_a_header(tmp_path: Path) -> None:
    (finding,) = project(
        tmp_path,
        """
        from celery.exceptions import Ignore
        @app.task
        def skip(): raise Ignore()
        chord([add.s(1, 1), chain(skip.si(), add.si(1, 1))], total.s()).delay()
        """,
    )

    assert finding.severity == "error"
    assert finding.reason.endswith("It stands in the header at module0.py:11.")


def test_ignore_is_a_warning_in_a_task_whose_use_is_unknown(tmp_path: Path) -> None:
    source = """
        from celery.exceptions import Ignore
        @app.task
        def skip(): raise Ignore()
        chord([add.s(1, 1)], skip.si()).delay()
    """

    (finding,) = project(tmp_path, source)

    assert finding.severity == "warning"
    assert "header at" not in finding.reason


def test_a_part_added_to_a_running_chord_stands_in_its_header(tmp_path: Path) -> None:
    source = """
        from celery.exceptions import Ignore
        @app.task
        def skip(): raise Ignore()
        @app.task(bind=True)
        def grow(self): self.add_to_chord(skip.s())
    """

    (finding,) = project(tmp_path, source)

    assert (finding.rule, finding.severity) == ("ignore_in_task", "error")


def test_waiting_is_refused_by_celery_unless_it_is_told_not_to(tmp_path: Path) -> None:
    refused, allowed = project(
        tmp_path,
        """
        @app.task
        def one(): add.delay(1, 1).get()
        @app.task
        def two(): add.delay(1, 1).get(disable_sync_subtasks=False)
        """,
    )

    assert "RuntimeError" in refused.reason
    assert "RuntimeError" not in allowed.reason
    assert "none is left" in allowed.reason


def test_a_returned_list_of_results_cannot_be_encoded_while_one_result_can(tmp_path: Path) -> None:
    one, many = project(
        tmp_path,
        """
        @app.task
        def one(): return add.delay(1, 1)
        @app.task
        def many(): return [add.delay(1, 1)]
        """,
    )

    assert "counts as done before the other has run" in one.reason
    assert "JSON cannot encode them" in many.reason


def test_a_task_in_a_function_that_does_not_send_it_is_only_a_note(tmp_path: Path) -> None:
    sent, registered = project(
        tmp_path,
        """
        def send():
            @app.task
            def inner(): ...
            inner.delay()
        def register():
            @app.task
            def inner(): ...
        """,
    )

    assert (sent.severity, registered.severity) == ("warning", "note")
    assert "calls send()" in sent.reason


def test_the_options_of_queues_are_those_that_kombu_takes() -> None:
    taken = {name for name, _ in kombu.Queue.attrs} | {"channel", "on_declared"}

    assert taken == QUEUE_OPTIONS
