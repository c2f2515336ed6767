"""What a refused sign-in of Airflow says about Tableau, which embeds the same secret."""

from __future__ import annotations

from datetime import datetime

from credential_rotation.renewal.tokens import shown
from credential_rotation.rotation.snowflake_words import Refusal

# What says that this very secret is dead, and not that its user, role or network is in a bad state at present.
DEAD = (Refusal.TOKEN_INVALID, Refusal.TOKEN_EXPIRED, Refusal.WRONG_PASSWORD)
# What is about who asks: the address, and the role that the Airflow connection names.
_AIRFLOW_ALONE = (Refusal.NETWORK_BLOCKED, Refusal.ROLE_NOT_GRANTED)
# Snowflake locks a user for 15 minutes after five wrong secrets.
LOCKED_SECONDS = 16 * 60.0


def about_tableau(refusal: Refusal | None, ends_at: datetime | None, now: datetime) -> str:
    """Whether Tableau is affected by a refusal, and until when not.

    :param ends_at: when the secret ends in any case; None where that is not known
    """
    until = ""
    if ends_at is not None and ends_at > now:
        until = f" What it embeds ends at {shown(ends_at)}: Airflow must be able to sign in well before that."
    if refusal in _AIRFLOW_ALONE:
        return f"Airflow alone is refused by this; Tableau need not be affected yet.{until}"
    if refusal is Refusal.LOCKED:
        return "While the user is locked, Tableau can't connect either."
    return "Tableau, which embeds the same secret, is refused as well, unless it holds another one."
