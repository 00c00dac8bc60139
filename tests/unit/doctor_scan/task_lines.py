"""Lines of tasks at which a rule speaks, and lines at which none may."""

from __future__ import annotations

SPEAKS = {
    "raised Ignore": """
        import celery
        from celery import exceptions
        from celery.exceptions import Ignore, Ignore as Skip
        @app.task
        def one():
            raise Ignore  # ! ignore_in_task
        @shared_task(bind=True, acks_late=True)
        def two(self):
            if self.request.retries:
                raise Skip()  # ! ignore_in_task
        @celery.shared_task()
        def three():
            for number in range(3):
                raise exceptions.Ignore("no work") from None  # ! ignore_in_task
        class Four(celery.Task):
            def run(self):
                raise celery.exceptions.Ignore()  # ! ignore_in_task
        class Base(app.Task):
            abstract = True
        class Five(Base):
            def run(self):
                raise Ignore()  # ! ignore_in_task
        @app.task
        async def six():
            raise Ignore()  # ! ignore_in_task
    """,
    "waiting for results": """
        from celery.result import AsyncResult, GroupResult, allow_join_result
        @app.task
        def one(ids):
            add.delay(1, 1).get()  # ! waits_in_task
            add.apply_async((1, 1)).get(timeout=3)  # ! waits_in_task
            add.apply_async(args=(1, 1), queue="fast").wait()  # ! waits_in_task
            add.s(1, 1).delay().get()  # ! waits_in_task
            app.send_task("add").get()  # ! waits_in_task
            AsyncResult(ids[0]).get()  # ! waits_in_task
            app.AsyncResult(ids[0]).get()  # ! waits_in_task
            GroupResult.restore(ids[0]).join()  # ! waits_in_task
        @app.task
        def two():
            result = group(add.s(1, 1), add.s(2, 2))()
            values = result.join_native()  # ! waits_in_task
            last = (add.s(1, 1) | add.s(2))().get()  # ! waits_in_task
            return values, chord([add.s(1, 1)])(total.s()).get(), last  # ! waits_in_task
        @app.task
        def three():
            results = [add.delay(n, n) for n in range(3)]
            first = [result.get() for result in results]  # ! waits_in_task
            for result in results:
                print(result.get())  # ! waits_in_task
            with allow_join_result():
                return add.delay(1, 1).get()  # ! waits_in_task
        class Four(app.Task):
            def run(self):
                return add.delay(1, 1).get(disable_sync_subtasks=False)  # ! waits_in_task
    """,
    "returned results": """
        @app.task
        def one(numbers):
            return add.delay(1, 1)  # ! returns_result
        @app.task
        def two(numbers):
            if numbers:
                return add.apply_async(args=(1, 1))  # ! returns_result
            result = chord([add.s(1, 1)])(total.s())
            return result  # ! returns_result
        @app.task
        def three(numbers):
            return [add.delay(n, n) for n in numbers]  # ! returns_result
        @app.task
        def four(numbers):
            return {"sent": group(add.s(1, 1))()}  # ! returns_result
        @app.task(ignore_result=True)
        def five(numbers):
            return add.delay(1, 1)  # ! returns_result
        chord([five.s([])], total.s()).delay()
    """,
    "waiting for MaxRetriesExceededError": """
        from celery.exceptions import MaxRetriesExceededError
        from celery import exceptions
        @app.task(bind=True)
        def one(self):
            try:
                work()
            except OSError as error:
                try:
                    raise self.retry(exc=error)
                except MaxRetriesExceededError:  # ! max_retries_caught
                    return None
        @app.task(bind=True)
        def two(self):
            try:
                self.retry((), {}, OSError("no answer"), countdown=3)
            except self.MaxRetriesExceededError:  # ! max_retries_caught
                pass
        def helper(task, error):
            try:
                if error:
                    task.retry(exc=error)
            except exceptions.MaxRetriesExceededError as exceeded:  # ! max_retries_caught
                print(exceeded)
    """,
    "swallowed retries": """
        @app.task(bind=True)
        def one(self):
            try:
                work()
                self.retry(countdown=3)
            except Exception:  # ! retry_swallowed
                print("never mind")
        @app.task(bind=True)
        def two(task):
            try:
                raise task.replace(add.s(1, 1))
            except (OSError, BaseException) as error:  # ! retry_swallowed
                return str(error)
        class Three(app.Task):
            def run(self):
                try:
                    self.retry()
                except:  # ! retry_swallowed
                    return None
    """,
    "rejected for ever": """
        from celery.exceptions import Reject
        import celery.exceptions
        @app.task(acks_late=True)
        def one():
            raise Reject("busy", requeue=True)  # ! reject_requeue
        @app.task(acks_late=True)
        def two():
            raise celery.exceptions.Reject("busy", True)  # ! reject_requeue
    """,
    "tasks in functions": """
        def view():
            @app.task
            def inner(): ...  # ! task_in_function
            inner.delay()
        class Service:
            def start(self):
                def deeper():
                    @shared_task(bind=True)
                    def inner(self): ...  # ! task_in_function
                    chord([inner.s()])(total.s())
    """,
    "options that queues do not have": """
        import kombu
        from kombu import Queue
        from kombu.entity import Queue as Deep
        Queue("fast", priority=10)  # ! queue_option_unknown
        kombu.Queue("fast", routing_key="fast", priority=1)  # ! queue_option_unknown
        app.conf.task_queues = [
            Deep("fast", max_length=3, durabel=False),  # ! queue_option_unknown
        ]
    """,
}


SILENT = {
    "tasks as they should be": """
        from celery.result import AsyncResult
        @app.task(bind=True, max_retries=3)
        def one(self, numbers):
            try:
                work()
            except OSError as error:
                raise self.retry(exc=error)
            return self.replace(add.s(1, 1))
        @app.task
        def two(numbers):
            return add.delay(1, 1).id
        @app.task
        def three(numbers):
            return add.s(1, 1)
        @app.task(ignore_result=True)
        def four(numbers):
            return add.delay(1, 1)
        @app.task
        def five(ids):
            return [AsyncResult(one).state for one in ids]
    """,
    "waiting outside of tasks": """
        def wait():
            return add.delay(1, 1).get()
        add.delay(1, 1).get()
        @app.task
        def one():
            def later():
                return add.delay(1, 1).get()
            return later.__name__
        class Kept(app.Task):
            def apply_async(self, *args, **kwargs):
                return super().apply_async(*args, **kwargs)
            def on_success(self, *args):
                return add.delay(1, 1).get()
    """,
    "get and join of other things": """
        import os, threading
        from multiprocessing.pool import Pool
        @app.task
        def one(settings, results, pool):
            os.environ.get("HOME")
            settings.get("x").join([])
            threading.Thread(target=print).join()
            ", ".join(results)
            Pool(3).apply_async(print).get()
            pool.apply_async(print, (1, 2)).get()
            pool.apply_async(func=print, args=(1,)).get()
            for result in results:
                result.get()
    """,
    "Ignore of other kinds, and elsewhere": """
        from shapely import Ignore
        from celery.exceptions import Ignore as Skip, Retry
        @app.task
        def one():
            raise Ignore()
        def helper():
            raise Skip()
        @app.task
        def two():
            try:
                helper()
            except Skip:
                raise
            raise Retry()
    """,
    "retries whose end is really seen": """
        from celery.exceptions import MaxRetriesExceededError
        @app.task(bind=True)
        def one(self):
            try:
                self.retry()
            except MaxRetriesExceededError:
                return None
        @app.task(bind=True)
        def two(self):
            try:
                self.retry(exc=None, countdown=3)
            except self.MaxRetriesExceededError:
                return None
        @app.task(bind=True)
        def three(self, error):
            try:
                self.retry(exc=error)
            except (MaxRetriesExceededError, OSError):
                return None
        @app.task(bind=True)
        def four(self):
            try:
                self.retry(exc=MaxRetriesExceededError("used up"))
            except MaxRetriesExceededError:
                return None
        @app.task(bind=True)
        def five(self):
            try:
                work()
            except MaxRetriesExceededError:
                return self.retry(exc=OSError())
    """,
    "somebody else's MaxRetriesExceededError": """
        from urllib3 import MaxRetriesExceededError
        def fetch(session, error):
            try:
                session.retry(exc=error)
            except MaxRetriesExceededError:
                return None
    """,
    "retries that get through": """
        from celery.exceptions import Ignore, Retry
        @app.task(bind=True)
        def one(self):
            try:
                self.retry()
            except Retry:
                raise
            except Exception:
                return None
        @app.task(bind=True)
        def two(self):
            try:
                self.retry()
            except Exception:
                print("once more")
                raise
        @app.task(bind=True)
        def three(self):
            try:
                work()
            except Exception as error:
                self.retry(exc=error)
        @app.task(bind=True)
        def four(self, session):
            try:
                session.retry()
                self.retry(throw=False)
            except Exception:
                return None
        @app.task(bind=True)
        def five(self):
            try:
                self.retry()
            except OSError:
                return None
        @app.task(bind=True)
        def six(self):
            try:
                self.retry(countdown=1)
            except Exception as error:
                self.retry(exc=error)
    """,
    "rejected once": """
        from celery.exceptions import Reject
        @app.task(acks_late=True)
        def one():
            raise Reject("broken", requeue=False)
        @app.task(acks_late=True)
        def two():
            raise Reject("broken")
        @app.task(acks_late=True, bind=True)
        def three(self):
            if not self.request.delivery_info.get("redelivered"):
                raise Reject("once more", requeue=True)
    """,
    "functions that are there to register tasks": """
        from celery.signals import worker_init
        def create():
            made = Celery()
            @made.task
            def inner(): ...
            return made
        def register(app):
            @app.task(bind=True)
            def inner(self): ...
        def task_of(name):
            @shared_task(name=name)
            def inner(): ...
            return inner
        def called():
            @app.task
            def inner(): ...
        called()
        @worker_init.connect
        def on_init(**kwargs):
            @app.task
            def inner(): ...
        class Config:
            def ready(self):
                @app.task
                def inner(): ...
        if app:
            @app.task
            def conditional(): ...
        class Holder:
            @app.task
            def method(self): ...
    """,
    "tasks of other libraries": """
        from celery.exceptions import Ignore
        from airflow.decorators import task, dag
        import huey
        from taskiq import broker
        from procrastinate import App
        other = App()
        queue = huey.RedisHuey()
        @task
        def one():
            raise Ignore()
        @broker.task
        def two():
            raise Ignore()
        @other.task
        def three():
            raise Ignore()
        @queue.task()
        def four():
            raise Ignore()
        @dag.task.python
        def five():
            raise Ignore()
    """,
    "queues": """
        from queue import Queue as Plain
        from kombu import Exchange, Queue
        Queue("fast", Exchange("fast"), routing_key="fast", max_priority=10, queue_arguments={"x-max-priority": 10})
        Queue("slow", expires=60.0, consumer_arguments={"x-priority": 3}, on_declared=print, bindings=[])
        Queue("slow", **{"priority": 3})
        Plain(priority=3)
    """,
}
