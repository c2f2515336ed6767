"""What Snowflake's words about a sign-in mean, wherever they are quoted: by its driver, or by Tableau in a job's notes.

Messages are looked at before codes: one code stands for several reasons (250001, 08001), and clients that pass messages
on do not agree about the codes of network policies.

* https://docs.snowflake.com/en/user-guide/programmatic-access-tokens: what a token needs in order to work
* 394400: Snowflake's fixtures (snowflake-connector-python, test/data/wiremock/mappings/auth/pat/invalid_token.json)
* 390100: snowflake-connector-python, network.py; 390144, 394300 and up: its key pair fixtures and key-pair-auth-
  troubleshooting in Snowflake's documentation
* All other codes were reported by people and clients, and are on no page of Snowflake's.
"""

from __future__ import annotations

import re
from enum import StrEnum, auto


class Refusal(StrEnum):
    """Why Snowflake lets somebody not in."""

    NETWORK_POLICY_REQUIRED = auto()
    NETWORK_BLOCKED = auto()
    LOCKED = auto()
    USER_DISABLED = auto()
    TOKEN_EXPIRED = auto()
    TOKEN_INVALID = auto()
    ROLE_NOT_GRANTED = auto()
    MFA_REQUIRED = auto()
    KEY_PAIR_INVALID = auto()
    WRONG_PASSWORD = auto()


class SnowflakeRefused(Exception):
    """Snowflake was asked, and said no: the same secret gets the same answer, and five tries lock the user.

    ``refusal`` is why, or ``None`` where nobody has met these words.
    """

    def __init__(self, message: str, refusal: Refusal | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal


class SnowflakeUnreachable(Exception):
    """Snowflake could not be asked: the network, a timeout, an outage. A later try may help."""


# In this order: what is about the network comes first, since such messages may name the token as well.
_MESSAGES = {
    Refusal.NETWORK_POLICY_REQUIRED: r"network policy is required",
    Refusal.NETWORK_BLOCKED: (
        r"not allowed to access snowflake"
        r"|\b(?:blocked|denied|rejected|not allowed) by (?:an? |the |your )?network policy"
    ),
    Refusal.LOCKED: r"user account has been (?:temporarily )?locked",
    Refusal.USER_DISABLED: r"user access (?:is )?disabled",
    Refusal.TOKEN_EXPIRED: r"programmatic access token (?:is|has) expired",
    Refusal.TOKEN_INVALID: r"programmatic access token is (?:invalid|disabled)|\bpat_invalid\b",
    Refusal.ROLE_NOT_GRANTED: r"specified in the connect string (?:is not granted|does not exist or not authorized)",
    # "failed": the driver waited for a person to confirm on a phone.
    Refusal.MFA_REQUIRED: r"\b(?:mfa|multi-factor) authentication (?:is required|failed)",
    Refusal.KEY_PAIR_INVALID: r"\bjwt token is invalid",
    Refusal.WRONG_PASSWORD: r"incorrect username or password was specified",
}

_CODES = {
    **dict.fromkeys(["390432"], Refusal.NETWORK_POLICY_REQUIRED),
    **dict.fromkeys(["390422", "390429"], Refusal.NETWORK_BLOCKED),
    **dict.fromkeys(["390102"], Refusal.LOCKED),
    **dict.fromkeys(["390101"], Refusal.USER_DISABLED),
    **dict.fromkeys(["394401"], Refusal.TOKEN_EXPIRED),
    **dict.fromkeys(["394400"], Refusal.TOKEN_INVALID),
    **dict.fromkeys(["390186", "390189"], Refusal.ROLE_NOT_GRANTED),
    **dict.fromkeys(["394509"], Refusal.MFA_REQUIRED),
    **dict.fromkeys(["390144", *(str(code) for code in range(394300, 394307))], Refusal.KEY_PAIR_INVALID),
    **dict.fromkeys(["390100"], Refusal.WRONG_PASSWORD),
}

# Only where a code is called one: a job's notes may hold any number.
_CODE = re.compile(
    r"""\b(?:code|errno|error)\b [\s:=#'"(]* (?P<named>\d{6}) \b"""
    r"| [\[(] (?P<bracketed>\d{6}) [\])]"
    r"| ^ \s* (?P<first>\d{6}) (?=: | \s\()",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)

_ADVICE = {
    Refusal.NETWORK_POLICY_REQUIRED: (
        "Snowflake takes tokens only from users who have a network policy: give this user one (ALTER USER ... SET "
        "NETWORK_POLICY), or relax NETWORK_POLICY_EVALUATION in the authentication policy."
    ),
    Refusal.NETWORK_BLOCKED: (
        "Snowflake's network policy for this user must list the address of whoever signs in: Tableau's addresses are "
        "others than Airflow's."
    ),
    Refusal.LOCKED: (
        "Snowflake locks a user for 15 minutes after five wrong secrets: find who still uses an old one "
        "(LOGIN_HISTORY) before trying again."
    ),
    Refusal.USER_DISABLED: (
        "The Snowflake user is disabled: enable it, and then also its tokens, which stay disabled (ALTER USER ... "
        "MODIFY PROGRAMMATIC ACCESS TOKEN ... SET DISABLED = FALSE)."
    ),
    Refusal.TOKEN_EXPIRED: (
        "The token is past its end: make a new one (ALTER USER ... ROTATE PROGRAMMATIC ACCESS TOKEN) and store it in "
        "the Airflow connection."
    ),
    Refusal.TOKEN_INVALID: (
        "Check that the token is this user's and ACTIVE (SHOW USER PROGRAMMATIC ACCESS TOKENS), that its role is still "
        "granted, and that no policy (MAX_EXPIRY_IN_DAYS, BLOCKED_ROLES_LIST, a missing network policy) ends it."
    ),
    Refusal.ROLE_NOT_GRANTED: (
        "The role that the connection names must be granted to the user, and be the one that the token is restricted "
        "to."
    ),
    Refusal.MFA_REQUIRED: (
        "A person's password no longer signs in alone: use a service user with a programmatic access token."
    ),
    Refusal.KEY_PAIR_INVALID: (
        "The user's RSA_PUBLIC_KEY must match the private key in the Airflow connection, and this machine's clock must "
        "be right; LOGIN_HISTORY shows the reason."
    ),
    Refusal.WRONG_PASSWORD: (
        "Check that the login is a Snowflake user of this account, and that the secret is its own; nothing here tries "
        "again, since five wrong secrets lock the user."
    ),
}


def refusal_in(text: str) -> Refusal | None:
    """Why Snowflake refused a sign-in, going by a text that quotes it; ``None`` if it quotes nothing such."""
    said = " ".join(text.split()).casefold()
    for refusal, message in _MESSAGES.items():
        if re.search(message, said):
            return refusal
    codes = (found[found.lastgroup or 0] for found in _CODE.finditer(text))
    return next((_CODES[code] for code in codes if code in _CODES), None)


def advice(refusal: Refusal) -> str:
    """One sentence on what a person should check."""
    return _ADVICE[refusal]


# What the driver puts around Snowflake's words, by version: "394400 (08001): None: Failed to connect to DB: host:port.
# …" (3.x and 4.x), "Failed to login: Login error: …, code: 394400" (5.x).
_NOISE = re.compile(
    r"^\s*(?:\d{6}(?:\s\(\w+\))?:\s+)?(?:(?:None|\d{6}|[0-9a-f]{8}-[0-9a-f-]+):\s+)?"
    r"(?:Failed to connect to DB(?:: [^\s,]+?:\d+)?[.,]\s+|Failed to login: (?:Login error: )?)?"
)
_CODE_AT_THE_END = re.compile(r",?\s*\(?code:?\s*\d{6}\)?\.?\s*$", re.IGNORECASE)


def without_noise(text: str) -> str:
    """Snowflake's own words in one line, without what its driver says around them; all of the text if none are left."""
    line = " ".join(text.split())
    return _CODE_AT_THE_END.sub("", _NOISE.sub("", line, count=1)) or line
