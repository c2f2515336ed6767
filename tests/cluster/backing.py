"""A database and a broker of our own on the PostgreSQL and the Redis of this machine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg2
import redis
from psycopg2 import sql

REDIS_HOST = os.environ.get("REDIS_HOST", "127.0.0.1")
REDIS_PORT = int(os.environ.get("REDIS_PORT", "6379"))
CLAIM = "credential-rotation-cluster-test"


class BackingError(Exception):
    """PostgreSQL or Redis cannot be used; the text says what to do."""


@dataclass(frozen=True)
class Database:
    """A database with an owner of its own, so the password in docker-compose.yaml counts wherever one is asked for."""

    host: str
    port: int
    name: str
    password: str

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        connection = psycopg2.connect(
            host=self.host, port=self.port, dbname=self.name, user=self.name, password=self.password
        )
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(query, values)
                return cursor.fetchall()
        finally:
            connection.close()


@contextmanager
def fresh_database(password: str) -> Iterator[Database]:
    """A new role and a new database of its; both are gone afterwards.

    Where the server is and who may create them is told the way every PostgreSQL program is: PGHOST, PGUSER, ...
    """
    host, port = os.environ.get("PGHOST", "127.0.0.1"), int(os.environ.get("PGPORT", "5432"))
    try:
        server = psycopg2.connect(host=host, port=port, dbname="postgres", user=os.environ.get("PGUSER", "postgres"))
    except psycopg2.OperationalError as error:
        raise BackingError(
            f"The cluster test needs a PostgreSQL server and a superuser on it; {host}:{port} says: {error}"
            "Start one (pg_ctlcluster, systemctl start postgresql), or set PGHOST, PGPORT, PGUSER and PGPASSWORD."
        ) from None
    server.autocommit = True
    database = Database(host, port, f"airflow_test_{secrets.token_hex(4)}", password)
    name = sql.Identifier(database.name)
    try:
        with server.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD %s").format(name), [password])
            try:
                cursor.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(name))
                yield database
            finally:
                cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
                cursor.execute(sql.SQL("DROP ROLE {}").format(name))
    finally:
        server.close()


@contextmanager
def empty_redis_db() -> Iterator[int]:
    """The number of a Redis database that nobody uses; emptied afterwards."""
    number = _claim()
    try:
        yield number
    finally:
        _redis(number).flushdb()


def _claim() -> int:
    try:
        count = int(_redis(0).config_get("databases")["databases"])
        for number in range(count - 1, 0, -1):  # people start at 0
            client = _redis(number)
            # Two tests may look at the same moment; only one of them can set the key.
            if client.dbsize() == 0 and client.set(CLAIM, "1", nx=True, ex=3600):
                return number
    except redis.ConnectionError as error:
        raise BackingError(
            f"The cluster test needs a Redis server; {REDIS_HOST}:{REDIS_PORT} says: {error}. "
            "Start one (redis-server --daemonize yes), or set REDIS_HOST and REDIS_PORT."
        ) from None
    raise BackingError(f"Redis on {REDIS_HOST}:{REDIS_PORT} has no empty database left for the cluster test.")


def _redis(number: int) -> redis.Redis:
    return redis.Redis(REDIS_HOST, REDIS_PORT, db=number)
