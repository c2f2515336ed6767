"""The place that is set for the tokens."""

from __future__ import annotations

from airflow.sdk.configuration import conf

from credential_rotation.settings import Settings, UnusableEnvironment
from credential_rotation.token_stores.kept import TokenStore
from credential_rotation.token_stores.variable import VariableTokenStore

# What Airflow's own configuration says where nothing is set on this host: then nothing is known of the key here.
_NOT_SET_HERE = "{FERNET_KEY}"


def chosen_store(settings: Settings) -> TokenStore:
    """Where renewed tokens are kept.

    :raises UnusableEnvironment: when the setting names no such place
    """
    if settings.token_store == "variable":  # noqa: S105 (the name of a place)
        return VariableTokenStore(conf.get("core", "fernet_key", fallback=_NOT_SET_HERE))
    raise UnusableEnvironment(f"CREDENTIAL_ROTATION_TOKEN_STORE must be 'variable', but is {settings.token_store!r}.")
