"""What must never be done: proof that the scan of the end-to-end tests would see it."""

from __future__ import annotations

import base64

from airflow.sdk import Connection, dag, task


@dag(schedule=None)
def leaky() -> None:
    """Let a secret out in two ways which Airflow's masking does not stop."""

    @task
    def into_the_log() -> None:
        password = Connection.get("leaky").password or ""
        # Airflow masks the password itself, but knows nothing of how a header holds it.
        print("Authorization: Basic", base64.b64encode(f"user:{password}".encode()).decode())  # noqa: T201

    @task(show_return_value_in_logs=False)
    def into_an_xcom() -> str:
        return str(Connection.get("leaky").password)

    into_the_log() >> into_an_xcom()


leaky()
