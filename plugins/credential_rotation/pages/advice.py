"""What to do about a reason that does not say so itself."""

from __future__ import annotations

import re

from credential_rotation.rotation.report import CANARY_FAILED, HALF_CLEARED, NO_WORD, NOT_REACHED

# The first that is found in the reason.
_ADVICE: dict[str, str] = {
    r"NOW HOLDS A TOKEN|MAY NOW HOLD": (
        "Look at this one first: mend the token and run again, or embed the secret before by hand in Tableau."
    ),
    # Tableau says 500, and quotes Snowflake's driver.
    r"\[Snowflake\]|Snowflake's network policy": "Snowflake refuses the sign-in: mend that there, then run again.",
    re.escape(CANARY_FAILED): "Mend what stopped the canary, then run again: these were not touched.",
    re.escape(NO_WORD): "Run again: it finds out which token is there, and updates what has to be.",
    re.escape(HALF_CLEARED): "Clear filter_connections and everything downstream, or run again.",
    re.escape(NOT_REACHED): "Mend what ended the run, then run again.",
    r"too many connections failed": "Mend what failed, then clear the failed tasks or run again.",
    r"not approved": "Nothing was written to these. Run again when the answer is yes.",
    r"\b40039\b|\b400039\b": "Tableau never lets these be edited this way: change them by hand in Tableau.",
    r"Tableau answered 401": "Check the sign-in of the Airflow connection to Tableau. It is not tried again by itself.",
    r"Tableau answered 403": "Give the Tableau user the right to edit these, then clear the failed tasks or run again.",
    r"Tableau answered 404|is not there any more": "Published again or deleted meanwhile: run again.",
    r"\b400033\b": "Known to come and go: run again.",
    r"\(429\)|slow down": "Run again, with max_requests_per_minute if it comes back.",
    r"did not answer|no answer from|Tableau answered 5\d\d|broke off|HTML": (
        "Tableau is unwell, or the way to it: run again when it is back."
    ),
    r"yet shows|yet the password is not embedded": "Run again; if it comes back, change it by hand in Tableau.",
    r"did not end within": ("Name a smaller extract with validate_on, or raise CREDENTIAL_ROTATION_PROOF_MINUTES."),
    r"run again": "Run again.",
}


def advice_for(reason: str) -> str | None:
    """What to do; None where nobody has met this, or the reason says it."""
    for pattern, advice in _ADVICE.items():
        if re.search(pattern, reason):
            return advice
    return None
