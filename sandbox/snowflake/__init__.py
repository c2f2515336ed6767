"""A Snowflake to rotate tokens against: a real https server that the real drivers accept, with faults on demand.

`SnowflakeState` is what it holds, `SnowflakeServer` serves it, `snowflake_behind` puts it behind a sandbox Tableau.
"""

from sandbox.snowflake.account import Account, NetworkPolicy, User, UserType
from sandbox.snowflake.believable import (
    ADMIN_ROLE,
    ADMIN_USER,
    NETWORK_POLICY,
    READER_ROLE,
    TOKEN_NAME,
    KeyPair,
    make_key_pair,
    snowflake_behind,
)
from sandbox.snowflake.faults import AnotherRotator, Refusal, RefusalAfter, Unwell, UnwellAfter, WithoutSecret
from sandbox.snowflake.login_history import Factor, LoginEvent
from sandbox.snowflake.remote_truth import RemoteTruth
from sandbox.snowflake.rotation import rotate_token
from sandbox.snowflake.server import SnowflakeServer
from sandbox.snowflake.state import Behaviour, SnowflakeState
from sandbox.snowflake.tokens import AccessToken, TokenStatus

__all__ = [
    "ADMIN_ROLE",
    "ADMIN_USER",
    "NETWORK_POLICY",
    "READER_ROLE",
    "TOKEN_NAME",
    "AccessToken",
    "Account",
    "AnotherRotator",
    "Behaviour",
    "Factor",
    "KeyPair",
    "LoginEvent",
    "NetworkPolicy",
    "Refusal",
    "RefusalAfter",
    "RemoteTruth",
    "SnowflakeServer",
    "SnowflakeState",
    "TokenStatus",
    "Unwell",
    "UnwellAfter",
    "User",
    "UserType",
    "WithoutSecret",
    "make_key_pair",
    "rotate_token",
    "snowflake_behind",
]
