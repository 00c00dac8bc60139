"""What RabbitMQ says of its queues, asked by the reader alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery import Celery

from chordwatch.evidence.amqp import AmqpReader
from chordwatch.evidence.budget import Budget, Gaps
from chordwatch.evidence.facts import Queue
from chordwatch.evidence.messages import MessageReader
from tests.support.polling import wait_until
from tests.support.rabbitmq import RabbitServer

pytestmark = pytest.mark.faults


@pytest.fixture
def app(rabbit: RabbitServer) -> Iterator[Celery]:
    app = Celery("reader", broker=rabbit.url, set_as_current=False)
    yield app
    app.close()


@pytest.fixture
def reader(app: Celery) -> Iterator[AmqpReader]:
    reader = AmqpReader(app)
    yield reader
    reader.close()


def send(app: Celery, queue: str) -> None:
    with app.connection_for_write() as connection:
        app.send_task("project.add", queue=queue, connection=connection)


def test_queues_have_their_length_and_the_consumers_that_rabbitmq_counts(
    app: Celery, reader: AmqpReader
) -> None:
    send(app, "counted")
    send(app, "counted")
    with app.connection_for_read() as connection, connection.channel() as channel:
        channel.queue_declare(queue="consumed", auto_delete=False)
        channel.basic_consume("consumed", no_ack=True, callback=lambda _: None)

        seen = wait_until(
            lambda: [q for q in reader.queues(["counted", "consumed"], {}) if q.length or q.consumers],
            "RabbitMQ counts",
        )

    assert seen == [
        Queue(name="counted", length=2, unacked=0, consumers=0),
        Queue(name="consumed", length=0, unacked=0, consumers=1),
    ]


def test_a_queue_that_is_not_there_is_left_out_and_not_made(app: Celery, reader: AmqpReader) -> None:
    send(app, "behind")

    for _ in range(2):
        assert [queue.name for queue in reader.queues(["missing", "behind", "missing"], {})] == ["behind"]


def test_a_connection_that_the_server_closed_is_opened_anew(app: Celery, reader: AmqpReader) -> None:
    send(app, "lasting")
    assert reader.queues(["lasting"], {})
    reader._connection.transport.close_connection(reader._connection.connection)

    assert [queue.length for queue in reader.queues(["lasting"], {})] == [1]


def test_another_connections_own_queue_is_left_out(app: Celery, reader: AmqpReader) -> None:
    with app.connection_for_read() as connection, connection.channel() as channel:
        channel.queue_declare(queue="private", exclusive=True)

        assert reader.queues(["private"], {}) == ()


def test_the_queues_of_routes_and_tasks_are_known_before_anybody_reads_them(
    app: Celery, reader: AmqpReader
) -> None:
    app.conf.task_routes = [{"shop.*": {"queue": "routed"}}, {"mail": "by-name"}, lambda *_: None]

    @app.task(queue="own")
    def ship() -> None: ...

    names = reader.queue_names(["consumed", "x.celery.pidbox", "celeryev.1"], Budget(1))

    assert names == ("by-name", "celery", "consumed", "own", "routed")


def test_no_message_is_shown_and_that_is_said(reader: AmqpReader) -> None:
    gaps = Gaps()

    assert list(reader.messages(["celery"], MessageReader(gaps), Budget(1), gaps)) == []
    assert not gaps.partial
    assert "not which" in gaps.lines()[0]
