"""The place that is set for the tokens."""

from __future__ import annotations

import re

from airflow.sdk.configuration import conf

from credential_rotation.settings import Settings, UnusableEnvironment
from credential_rotation.token_stores.aws_secrets_manager import AwsSecretsManagerTokenStore
from credential_rotation.token_stores.kept import TokenStore
from credential_rotation.token_stores.variable import VariableTokenStore

# What Airflow's own configuration says where nothing is set on this host: then nothing is known of the key here.
_NOT_SET_HERE = "{FERNET_KEY}"

# The prefix out of the characters that AWS allows in the name of a secret.
_AWS = re.compile(r"aws-secrets-manager://(?P<aws_conn_id>[\w.-]+)/(?P<prefix>[A-Za-z0-9/_+=.@-]+)", re.ASCII)


def chosen_store(settings: Settings) -> TokenStore:
    """Where renewed tokens are kept.

    :raises UnusableEnvironment: when the setting names no such place
    """
    if settings.token_store == "variable":  # noqa: S105 (the name of a place)
        fernet_key = conf.get("core", "fernet_key", fallback=_NOT_SET_HERE)
        return VariableTokenStore(fernet_key, is_logged=_supervisor_logs_all())
    if aws := _AWS.fullmatch(settings.token_store):
        return AwsSecretsManagerTokenStore(aws["aws_conn_id"], aws["prefix"])
    raise UnusableEnvironment(
        "CREDENTIAL_ROTATION_TOKEN_STORE must be 'variable' or aws-secrets-manager://<Airflow connection>/<prefix of "
        "the secrets' names>, such as 'aws-secrets-manager://aws_default/credential_rotation/', but is "
        f"{settings.token_store!r}."
    )


def _supervisor_logs_all() -> bool:
    """Whether Airflow writes each Variable that a task sets into the log of its worker, unmasked.

    At DEBUG its supervisor does (airflow.sdk.execution_time.supervisor, "Received message from task runner").
    """
    level = conf.get("logging", "logging_level", fallback="INFO")
    of_supervisor = _SUPERVISOR.search(conf.get("logging", "namespace_levels", fallback=""))
    return (of_supervisor["level"] if of_supervisor else level).strip().upper() == "DEBUG"


_SUPERVISOR = re.compile(r"(?:^|[\s,])supervisor\s*=\s*(?P<level>\w+)")
