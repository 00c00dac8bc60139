from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.doctor_scan.written import marked, project, said

SPEAKS = {
    "sent, then sent again": """
        chord([add.s(1, 1)])(total.s()).apply_async()  # ! chord_sent_twice
        chord([add.s(1, 1)], total.s())().delay()  # ! chord_sent_twice
        chord([add.s(1, 1)])(body=total.s()).on_error(add.si(1, 1))  # ! chord_sent_twice
    """,
    "sent, then sent again by name": """
        def publish():
            made = chord(add.s(n, n) for n in range(3))
            result = made(total.s())
            return result.apply_async(queue="fast")  # ! chord_sent_twice
    """,
    "under another name": """
        import celery
        import celery as c
        from celery import canvas, chord as barrier
        from celery.canvas import chord as deep
        barrier([add.s(1, 1)])(total.s()).delay()  # ! chord_sent_twice
        deep([add.s(1, 1)])(total.s()).delay()  # ! chord_sent_twice
        celery.chord([add.s(1, 1)])(total.s()).delay()  # ! chord_sent_twice
        c.chord([add.s(1, 1)])(total.s()).delay()  # ! chord_sent_twice
        canvas.chord([add.s(1, 1)])(total.s()).delay()  # ! chord_sent_twice
        mine = chord
        mine([add.s(1, 1)])(total.s()).delay()  # ! chord_sent_twice
    """,
    "a callback instead of a body": """
        chord(header=[add.s(1, 1)], callback=total.s()).delay()  # ! chord_callback_keyword
        chord([add.s(1, 1)], callback=total.s())()  # ! chord_callback_keyword
        chord([add.s(1, 1)], callback=total.s())(total.s())  # ! chord_callback_keyword
    """,
    "no body": """
        chord([add.s(1, 1)]).delay()  # ! chord_without_body
        chord(header=[add.s(1, 1)]).apply_async()  # ! chord_without_body
        chord([add.s(1, 1)])()  # ! chord_without_body
    """,
    "nothing among the parts": """
        def publish(extra):
            chord([add.s(1, 1), None], total.s()).delay()  # ! none_in_header
            chord((add.s(1, 1), add.s(2, 2) if extra else None))(total.s())  # ! none_in_header
            chord(add.s(n, n) if n else None for n in range(3))(total.s())  # ! none_in_header
            chord([add.s(1, 1)] + [None], total.s())()  # ! none_in_header
            header = [
                add.s(1, 1),
                None,  # ! none_in_header
            ]
            chord(header=header, body=total.s()).delay()
    """,
    "parts that are no signatures": """
        chord([add.delay(1, 1), add.s(2, 2)])(total.s())  # ! not_a_signature
        chord(add.apply_async((n, n)) for n in range(3))(total.s())  # ! not_a_signature
        chord([add.s(1, 1), add(2, 2)], total.s()).delay()  # ! not_a_signature
        (group(add.delay(1, 1), add.s(2, 2)) | total.s()).delay()  # ! not_a_signature
        sent = [add.delay(n, n) for n in range(3)]  # ! not_a_signature
        chord(sent)(total.s())
    """,
    "a body that is no signature": """
        chord([add.s(1, 1)])(total)  # ! not_a_signature
        chord([add.s(1, 1)], total).delay()  # ! not_a_signature
        chord([add.s(1, 1)], body=total.delay([])).delay()  # ! not_a_signature
        chord([add.s(1, 1)])(total([]))  # ! not_a_signature
    """,
    "a body that takes no results": """
        @shared_task
        def nothing(): ...
        @shared_task(bind=True)
        def only_self(self): ...
        @app.task()
        def two(numbers, factor): ...
        @app.task
        def named(*, numbers): ...
        chord([add.s(1, 1)])(nothing.s())  # ! callback_takes_no_result
        chord([add.s(1, 1)], only_self.s()).delay()  # ! callback_takes_no_result
        chord([add.s(1, 1)], two.s().set(queue="fast")).delay()  # ! callback_takes_no_result
        (group(add.s(1, 1)) | named.s()).delay()  # ! callback_takes_no_result
        chord([add.s(1, 1)], total.s(2)).delay()  # ! callback_takes_no_result
        chord([add.s(1, 1)], total.s(numbers=[])).delay()  # ! callback_takes_no_result
    """,
    "ignored parts in a complex header": """
        @app.task(ignore_result=True)
        def quiet(x): ...
        chord([
            chain(  # ! nested_header
                add.s(1, 1),
                group(
                    quiet.s(),  # ! ignored_in_complex_header
                    add.s(1),
                ),
            ),
        ], total.s())
        chord([
            add.s(1, 1) | group(add.s(1)),  # ! nested_header
            quiet.s(1),  # ! ignored_in_complex_header
        ])(total.s())
        chord([
            chain([add.s(1, 1), group([add.s(1)])]),  # ! nested_header
            add.s(1, 1).set(ignore_result=True),  # ! ignored_in_complex_header
        ])(total.s())
        chord([
            chord(  # ! nested_header
                [add.s(1, 1)],
                group(quiet.s()),  # ! ignored_in_complex_header
            ),
        ])(total.s())
    """,
    "nested": """
        inner = chord([add.s(1, 1)], total.s())
        chord([inner, add.s(1, 1)], total.s()).delay()  # ! nested_header
        chord([group(add.s(1, 1)) | total.s()], total.s()).delay()  # ! nested_header
        chord([chain(add.s(1, 1), group(add.s(1)), total.s())])(total.s())  # ! nested_header
        chord([add.s(1, 1) | group(add.s(1))])(total.s())  # ! nested_header
    """,
    "a lazy part that nobody sends": """
        @app.task(bind=True)
        def grow(self):
            self.add_to_chord(add.s(1, 1), lazy=True)  # ! lazy_part_dropped
            self.add_to_chord(add.s(1, 1), True)  # ! lazy_part_dropped
    """,
}

SILENT = {
    "chords as they should be": """
        chord([add.s(1, 1), add.si(2, 2)])(total.s()).get()
        chord([add.s(1, 1)], total.s()).apply_async(queue="fast")
        chord(header=[add.s(1, 1)], body=total.s()).delay()
        chord(add.s(n, n) for n in range(3))(total.s()).then(print)
        made = chord([add.s(1, 1)])
        made(total.s())
        made.apply_async(kwargs={"body": total.s()})
        (group(add.s(1, 1)) | total.s()).apply_async()
        (add.s(1, 1) | total.s()).apply_async()
        group(add.s(1, 1))().join()
        options = {"body": total.s()}
        chord([add.s(1, 1)], **options).delay()
        chord(*[[add.s(1, 1)], total.s()]).delay()
        template = chord([add.s(1, 1)])
    """,
    "somebody else's chord": """
        import music
        from music import chord
        chord([1, None])("minor").delay()
        chord(header=1, callback=2).delay()
        chord([1]).delay()
        music.chord([1])(2).delay()
    """,
    "a parameter, a local function, a name with two meanings": """
        def play(chord):
            chord([None])(1).delay()
        def compose():
            def chord(notes): ...
            chord([None])(1).delay()
        def either(flag):
            made = chord([add.s(1, 1)])(total.s())
            if flag:
                made = chord([add.s(1, 1)], total.s())
            made.apply_async()
    """,
    "a header that is put right before it is sent": """
        header = [None, None]
        header[0] = add.s(1, 1)
        header[1] = add.s(2, 2)
        chord(header)(total.s())
        chord(part for part in [add.s(1, 1), None] if part)
        chord(filter(None, [add.s(1, 1), None]))(total.s())
    """,
    "a group, which refuses None by itself": """
        chord(group(add.s(1, 1), None))(total.s())
    """,
    "bodies that take the results": """
        @shared_task(bind=True)
        def bound(self, numbers, factor=2): ...
        @shared_task
        def nothing(): ...
        @app.task
        def anything(*args, **kwargs): ...
        def wrapped(function): return lambda *args: function()
        @app.task
        @wrapped
        def behind(): ...
        @app.task(base=object)
        def other(): ...
        chord([add.s(1, 1)])(bound.s())
        chord([add.s(1, 1)])(bound.s(3))
        chord([add.s(1, 1)])(bound.s(factor=3))
        chord([add.s(1, 1)])(nothing.si())
        chord([add.s(1, 1)])(nothing.s().set(immutable=True))
        chord([add.s(1, 1)])(anything.s(1, a=2))
        chord([add.s(1, 1)])(behind.s())
        chord([add.s(1, 1)])(other.s())
        chord([add.s(1, 1)])(unknown.s())
        chord([add.s(1, 1)], add.s(1)).delay()
        chord([add.s(1, 1)], total.s(*[])).delay()
    """,
    "ignored parts in a flat header": """
        @app.task(ignore_result=True)
        def quiet(x): ...
        chord([quiet.s(1), quiet.s(2)], total.s()).delay()
        chord([quiet.s(1) | add.s(2, 2)], total.s()).delay()
        chord(group(quiet.s(1), quiet.s(2)), total.s()).delay()
        chord([group(quiet.s(1), quiet.s(2)), add.s(1, 1)], total.s()).delay()
    """,
    "a first step without a result before a group": """
        @app.task(ignore_result=True)
        def quiet(x): ...
        chord([quiet.s(1) | group(add.si(1, 1))], total.s()).delay()  # ! nested_header
    """,
    "flat chains and groups in a header": """
        chord([add.s(1, 1) | add.s(2), add.s(3, 3)], total.s()).delay()
        chord([group(add.s(1, 1), add.s(2, 2)), add.s(3, 3)], total.s()).delay()
        chord([add.s(1, 1)], chain(total.s(), group(add.s(1)))).delay()
    """,
    "lazy parts that are sent": """
        @app.task(bind=True)
        def grow(self):
            self.add_to_chord(add.s(1, 1))
            self.add_to_chord(add.s(1, 1), lazy=False)
            self.add_to_chord(add.s(1, 1), lazy=True).delay()
            part = self.add_to_chord(add.s(1, 1), lazy=True)
            part.delay()
            other = add.s(1, 1)
            self.add_to_chord(other, lazy=True)
            other.delay()
    """,
}


@pytest.mark.parametrize("name", SPEAKS)
def test_a_rule_speaks_at_these_lines_and_no_other(name: str, tmp_path: Path) -> None:
    findings = project(tmp_path, SPEAKS[name])

    assert marked(tmp_path)
    assert said(findings) == marked(tmp_path)


@pytest.mark.parametrize("name", SILENT)
def test_no_rule_speaks_where_nothing_is_wrong(name: str, tmp_path: Path) -> None:
    findings = project(tmp_path, SILENT[name])

    assert said(findings) == marked(tmp_path)


def test_what_a_finding_says_names_the_method_and_the_way_out(tmp_path: Path) -> None:
    (finding,) = project(tmp_path, "chord([add.s(1, 1)])(total.s()).delay()")

    assert finding.severity == "error"
    assert finding.where == f"{tmp_path}/module0.py:7"
    assert "which has no delay()" in finding.reason
    assert finding.fix == "Write chord(header, body).apply_async(), or chord(header)(body) alone."


def test_a_callback_beside_a_body_loses_no_chord(tmp_path: Path) -> None:
    without, beside = project(
        tmp_path,
        "chord([add.s(1, 1)], callback=total.s()).delay()",
        "chord([add.s(1, 1)], total.s(), callback=total.s()).delay()",
    )

    assert (without.severity, beside.severity) == ("error", "warning")


def test_a_nested_header_says_which_failure_gets_lost(tmp_path: Path) -> None:
    inner, chained = project(
        tmp_path,
        "chord([chord([add.s(1, 1)], total.s())], total.s())",
        "chord([add.s(1, 1) | group(add.s(1))], total.s())",
    )

    assert "a task in the header of this inner chord" in inner.reason
    assert "a task before the group" in chained.reason
    assert {inner.severity, chained.severity} == {"note"}
