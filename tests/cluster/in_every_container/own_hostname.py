"""What Airflow asks for the name of its host, where several containers are processes of one machine."""

from __future__ import annotations

import os


def own_hostname() -> str:
    return os.environ["HOSTNAME"]
