from __future__ import annotations

from pathlib import Path

from tests.unit.doctor_scan.written import marked, project, said

TASKS = """
    from celery import shared_task
    from celery.exceptions import Ignore
    @shared_task
    def skip(): raise Ignore()  # ! ignore_in_task
    @shared_task
    def nothing(): ...
"""


def test_a_task_is_known_across_modules_by_every_kind_of_import(tmp_path: Path) -> None:
    findings = project(
        tmp_path,
        files={
            "shop/tasks.py": TASKS,
            "shop/__init__.py": "",
            "shop/absolute.py": """
            from celery import chord
            from shop.tasks import nothing as empty
            chord([], empty.s())  # ! callback_takes_no_result
        """,
            "shop/whole.py": """
            import celery, shop.tasks
            celery.chord([], shop.tasks.nothing.s())  # ! callback_takes_no_result
        """,
            "shop/relative.py": """
            from celery import chord
            from . import tasks
            from .tasks import nothing
            chord([], tasks.nothing.s())  # ! callback_takes_no_result
            chord([], nothing.s())  # ! callback_takes_no_result
        """,
            "shop/inner/deeper.py": """
            from celery import chord
            from ..tasks import nothing
            def publish():
                from ..tasks import skip
                chord([skip.s()], nothing.s())  # ! callback_takes_no_result
        """,
        },
    )

    assert said(findings) == marked(tmp_path)
    (ignored,) = [one for one in findings if one.rule == "ignore_in_task"]
    assert ignored.severity == "error"
    assert "deeper.py:6" in ignored.reason


def test_a_package_imports_from_itself(tmp_path: Path) -> None:
    findings = project(
        tmp_path,
        files={
            "shop/tasks.py": TASKS,
            "shop/__init__.py": """
            from celery import chord
            from .tasks import nothing
            chord([], nothing.s())  # ! callback_takes_no_result
        """,
        },
    )

    assert said(findings) == marked(tmp_path)


def test_of_two_modules_with_one_name_the_nearest_is_meant(tmp_path: Path) -> None:
    publisher = "from celery import chord\nfrom tasks import nothing\nchord([], nothing.s())"
    findings = project(
        tmp_path,
        files={
            "one/tasks.py": TASKS,
            "one/publish.py": publisher + "  # ! callback_takes_no_result",
            "two/tasks.py": "from celery import shared_task\n@shared_task\ndef nothing(numbers): ...",
            "two/publish.py": publisher,
        },
    )

    assert said(findings) == marked(tmp_path)


def test_of_two_modules_as_near_as_each_other_neither_is_meant(tmp_path: Path) -> None:
    findings = project(
        tmp_path,
        files={
            "one/tasks.py": TASKS.replace("# !", "#"),
            "two/tasks.py": TASKS.replace("# !", "#"),
            "publish.py": "from celery import chord\nfrom tasks import nothing\nchord([], nothing.s())",
        },
    )

    assert {rule for rule, _ in said(findings)} == {"ignore_in_task"}


def test_the_nearest_scope_decides_what_a_name_stands_for(tmp_path: Path) -> None:
    findings = project(
        tmp_path,
        """
        class Holder:
            chord = print
            chord([None])
            def method(self):
                chord([None], total.s())  # ! none_in_header
        def default(chord=chord([None], total.s())):  # ! none_in_header
            chord([None], total.s())
        def caught():
            try: ...
            except Exception as chord:
                chord([None], total.s())
        def matched(value):
            match value:
                case [chord]:
                    chord([None], total.s())
        def looped():
            for chord in [print]:
                chord([None], total.s())
        def opened():
            with open("x") as chord:
                chord([None], total.s())
        def walrus():
            if made := chord([add.s(1, 1)])(total.s()):
                made.delay()  # ! chord_sent_twice
        def elsewhere():
            global rebound
            rebound = print
        rebound = chord
        rebound([None], total.s())
        """,
    )

    assert said(findings) == marked(tmp_path)


def test_names_that_lead_in_circles_or_very_deep_are_left_alone(tmp_path: Path) -> None:
    circle = "one = two\ntwo = one\none.delay()\nchord(one)(one)\nx = [x for x in x]\nchord(x)(x)"
    chained = "\n".join(f"a{number} = a{number + 1}" for number in range(3000))
    piped = " | ".join(["add.s(1, 1)"] * 300)

    assert project(tmp_path, f"{circle}\n{chained}\na1.delay()\n({piped}).delay()") == []


def test_names_that_double_what_they_stand_for_take_no_time(tmp_path: Path) -> None:
    piped = "\n".join(f"p{number + 1} = p{number} | p{number}" for number in range(60))
    added = "\n".join(f"l{number + 1} = l{number} + l{number}" for number in range(60))
    source = f"p0 = add.s(1, 1)\n{piped}\nl0 = [p19]\n{added}\nchord(l15, total.s())\nchord([p60], total.s())"

    assert project(tmp_path, source) == []


def test_expressions_that_are_nested_very_deep_are_read(tmp_path: Path) -> None:
    dots = "total" + ".x" * 900
    sums = " + ".join(["[add.s(1, 1)]"] * 900)
    calls = "add.s(1, 1)" + ".set(queue='q')" * 400
    choice = "add.s(1, 1) if a else " * 400 + "None"
    source = (
        f"{dots}.delay()\nchord({sums}, {calls}).delay()\nchord([{choice}], total.s())  # ! none_in_header"
    )

    assert said(project(tmp_path, source)) == marked(tmp_path)
