"""One connection, kept from command to command, for a process that sends the same command again and again."""

from __future__ import annotations

from typing import Any

import redis


class Line:
    """Sends commands over one connection of a client, without what redis-py does around each.

    Taking a connection from the pool, retries and measuring are most of what a flush would cost its process.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool: Any = client.connection_pool
        self._connection: Any = None

    def send(self, *command: Any) -> Any:
        """Return the reply to a command.

        Raises:
            redis.RedisError: as redis-py would; after a broken connection the next command makes a new one.
        """
        if self._connection is None:
            self._connection = _taken(self._pool)
        try:
            self._connection.send_command(*command)
            return self._connection.read_response()
        except redis.ResponseError:
            raise  # an answer like any other
        except BaseException:
            self._connection.disconnect()
            self.let_go()
            raise

    def let_go(self) -> None:
        """Give the connection back to the pool, so that other commands can have it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.release(connection)


def _taken(pool: Any) -> Any:
    try:
        return pool.get_connection()
    except TypeError:
        return pool.get_connection("EVALSHA")  # redis-py up to 5.2 wants to know the command
