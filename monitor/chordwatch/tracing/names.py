"""Names of spans and attributes: the messaging conventions of OpenTelemetry, and ours for chords. Pure."""

from __future__ import annotations

#: Instrumentation scope of all our spans.
SCOPE = "chordwatch"

SYSTEM = "messaging.system"
OPERATION_NAME = "messaging.operation.name"
OPERATION_TYPE = "messaging.operation.type"
DESTINATION = "messaging.destination.name"
MESSAGE_ID = "messaging.message.id"
ERROR_TYPE = "error.type"

CHORD_ID = "celery.chord.id"
ROLE = "celery.chord.role"
SIZE = "celery.chord.size"
INDEX = "celery.chord.index"
CAUSE = "celery.chord.cause"
STRAGGLER = "celery.chord.straggler.task_id"
BARRIER_SECONDS = "celery.chord.barrier_seconds"
#: How many header tasks a callback's span has no link to, because there is a limit.
LINKS_LEFT_OUT = "celery.chord.links_left_out"
TASK_NAME = "celery.task.name"
ATTEMPT = "celery.task.attempt"

#: The event of an attempt that asked for another one, and why it did.
RETRY_EVENT = "retry"
RETRY_REASON = "celery.retry.reason"

#: What `messaging.system` says of a broker, by the scheme of its URL; of any other the scheme itself.
_SYSTEMS = {
    "amqp": "rabbitmq",
    "amqps": "rabbitmq",
    "pyamqp": "rabbitmq",
    "rediss": "redis",
    "sentinel": "redis",
    "sqs": "aws_sqs",
    "gcpubsub": "gcp_pubsub",
    "azureservicebus": "servicebus",
    "confluentkafka": "kafka",
}


def system_of(broker_url: object) -> str:
    """Return the messaging system that a broker's URL names; of several brokers the first counts."""
    url = broker_url[0] if isinstance(broker_url, (list, tuple)) and broker_url else broker_url
    scheme = str(url or "amqp").partition("://")[0].partition("+")[0].lower()
    return _SYSTEMS.get(scheme, scheme)
