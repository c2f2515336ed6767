"""What can become of a connection. The report, the log table and the docs derive from these."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What became of a connection: each has exactly one, with a reason unless all is well."""

    UPDATED = "updated"
    UNCHANGED = "unchanged"
    PLANNED = "planned"
    FAILED = "failed"
    GONE = "gone"
    NOT_ATTEMPTED = "not_attempted"
    ROLLED_BACK = "rolled_back"
    EXCLUDED = "excluded"


OUTCOME_MEANS: dict[Outcome, str] = {
    Outcome.UPDATED: "embeds the token now; `proof` says how that was shown",
    Outcome.UNCHANGED: "held the current token already",
    Outcome.PLANNED: "dry run: would be updated",
    Outcome.FAILED: "could not be updated, or not even read; `reason` says why",
    Outcome.GONE: "deleted while the run was under way",
    Outcome.NOT_ATTEMPTED: "its turn did not come: Snowflake refused the token, the first connection of its user "
    "failed, too many failed, or nobody approved",
    Outcome.ROLLED_BACK: "the previous secret was put back",
    Outcome.EXCLUDED: "no target; `reason` says why",
}

# A run is green when each target ended in one of these. Content that was deleted meanwhile needs no token.
GREEN = frozenset({Outcome.UPDATED, Outcome.UNCHANGED, Outcome.PLANNED, Outcome.GONE})

# What connections come to in a run that writes; nothing is planned in it, and what is excluded is none of its business.
OF_A_RUN_THAT_WRITES = tuple(outcome for outcome in Outcome if outcome not in (Outcome.PLANNED, Outcome.EXCLUDED))


class Exclusion(StrEnum):
    """Why a connection is no target; the first that applies, in this order."""

    PUBLISHED_DATA_SOURCE = "published_data_source"
    NOT_SNOWFLAKE = "not_snowflake"
    OAUTH = "oauth"
    KEY_PAIR = "key_pair"
    OTHER_SIGN_IN = "other_sign_in"
    NO_SERVER_ADDRESS = "no_server_address"
    OTHER_ACCOUNT = "other_account"
    NO_USERNAME = "no_username"
    OTHER_USER = "other_user"
    PASSWORD_NOT_EMBEDDED = "password_not_embedded"  # noqa: S105 (the name of a reason)
    FILTERED_OUT = "filtered_out"


EXCLUSION_MEANS: dict[Exclusion, str] = {
    Exclusion.PUBLISHED_DATA_SOURCE: "a link to a published data source, where the credential is embedded",
    Exclusion.NOT_SNOWFLAKE: "another database",
    Exclusion.OAUTH: "signs in with OAuth",
    Exclusion.KEY_PAIR: "signs in with a key pair",
    Exclusion.OTHER_SIGN_IN: "signs in some other way; the report names it in `authentication_type`",
    Exclusion.NO_SERVER_ADDRESS: "Tableau does not say which Snowflake account it is for",
    Exclusion.OTHER_ACCOUNT: "a Snowflake account of none of the credentials",
    Exclusion.NO_USERNAME: "Tableau does not say which user signs in",
    Exclusion.OTHER_USER: "a Snowflake user of none of the credentials",
    Exclusion.PASSWORD_NOT_EMBEDDED: "asks people for the password (embed_where_prompting includes these)",
    Exclusion.FILTERED_OUT: "would be a target, but the run was narrowed",
}

EXCLUSION_ADVICE: dict[Exclusion, str] = {
    Exclusion.PUBLISHED_DATA_SOURCE: "nothing: its data source is looked at by itself",
    Exclusion.NOT_SNOWFLAKE: "nothing",
    Exclusion.OAUTH: "nothing, or change it by hand in Tableau: an update would be accepted, and break it",
    Exclusion.KEY_PAIR: "nothing, or change it by hand in Tableau",
    Exclusion.OTHER_SIGN_IN: "nothing, or change it by hand in Tableau; if the word means user and password, add it to "
    "`USER_AND_PASSWORD` in `rotation/selection.py`",
    Exclusion.NO_SERVER_ADDRESS: "look at it in Tableau",
    Exclusion.OTHER_ACCOUNT: "if it is an old address of yours, add it to `server_addresses`",
    Exclusion.NO_USERNAME: "look at it in Tableau",
    Exclusion.OTHER_USER: "add a Snowflake connection for that user, or name it in `tableau_usernames`",
    Exclusion.PASSWORD_NOT_EMBEDDED: "run with `embed_where_prompting`, if that is what you want",
    Exclusion.FILTERED_OUT: "run without the filter",
}

# These say that a Snowflake connection with user and password was met for which no credential was given.
NO_CREDENTIAL = frozenset({Exclusion.OTHER_ACCOUNT, Exclusion.OTHER_USER})


class Proof(StrEnum):
    """How it was shown that an update took effect."""

    REFRESH_JOB = "refresh_job"
    QUERY = "query"
    VIEW_DATA = "view_data"
    SNOWFLAKE_LOGIN = "snowflake_login"
    SAVED = "saved"
    NONE = "none"


SHOW_A_CONNECTION = frozenset({Proof.REFRESH_JOB, Proof.QUERY, Proof.VIEW_DATA, Proof.SNOWFLAKE_LOGIN})

PROOF_MEANS: dict[Proof, str] = {
    Proof.REFRESH_JOB: "Tableau refreshed the extract with it",
    Proof.QUERY: "Tableau queried the data source with it (one row, VizQL Data Service)",
    Proof.VIEW_DATA: "Tableau fetched the data of a view with it",
    Proof.SNOWFLAKE_LOGIN: "Airflow signed in to Snowflake with it, as a password; Tableau shows no more",
    Proof.SAVED: "Tableau, asked again, shows the user and an embedded password",
    Proof.NONE: "a connection was to be shown, and nothing could show one; it is saved",
}
