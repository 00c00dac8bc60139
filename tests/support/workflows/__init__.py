"""Random Celery workflows on real workers, and an oracle that knows what became of them.

Three witnesses, none of them chordwatch: the tasks' own journal, every command that the broker and the result
backend were sent (`MONITOR`), and the stored results.
"""
