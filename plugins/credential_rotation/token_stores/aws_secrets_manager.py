"""Keeps tokens in AWS Secrets Manager, in versions of one secret per credential, which AWS's own labels tell apart.

The Amazon provider is imported where it is used: it is only needed by those who choose this place.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from credential_rotation.secrecy import hide_in_logs
from credential_rotation.token_stores.kept import KeptToken, KeptTokens, StoreUnusable

log = logging.getLogger(__name__)

_CURRENT, _PREVIOUS, _PENDING = "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING"
# Of a version that was only written to see whether that is possible.
_PROBE = "ROTATION_PROBE"

_DESCRIPTION = "Renewed Snowflake tokens. Deleted, the password of the Airflow connection counts again."

# The levels of loggers are everybody's.
_quiet = threading.RLock()


class AwsSecretsManagerTokenStore:
    """One secret per credential. Each change is one request, done or not; what may follow it only tidies up.

    :param aws_conn_id: the Airflow connection to AWS
    :param prefix: what the names of the secrets begin with; the id of the credential's Airflow connection follows
    """

    def __init__(self, aws_conn_id: str, prefix: str) -> None:
        self._aws_conn_id = aws_conn_id
        self._prefix = prefix

    def read(self, conn_id: str) -> KeptTokens | None:
        """What is kept of a credential; None when nothing is.

        :raises StoreUnusable: when that can't be told
        """
        versions = self._versions(conn_id)
        if versions is None:
            return None
        current = self._token(conn_id, versions.get(_CURRENT))
        if current is None:
            raise StoreUnusable(
                f"The current version of {self._secret(conn_id)} holds something else than a token. Make the version "
                f"that was current before it {_CURRENT} again; without the secret, the Airflow connection's password "
                "counts again."
            )
        pending_version = _pending(versions)
        pending = self._token(conn_id, pending_version)
        if pending_version and pending is None:
            raise StoreUnusable(
                f"The version {_PENDING} of {self._secret(conn_id)} holds something else than a token. Take that label "
                "off it, and put it on the version that had it, if there is one."
            )
        # What a person has put in its place was not renewed: AWS calls it the previous one, Tableau is past it.
        previous = self._token(conn_id, versions.get(_PREVIOUS)) if current.is_renewed else None
        return KeptTokens(current, previous, pending)

    def adopt(self, conn_id: str, current: KeptToken) -> None:
        """Begin to keep a credential."""
        versions = self._versions(conn_id)
        if versions is None:
            name = self._prefix + conn_id
            self._ask(conn_id, "create_secret", Name=name, Description=_DESCRIPTION, **_as_version(current))
            return
        self._ask(conn_id, "put_secret_value", **_as_version(current), VersionStages=[_CURRENT])
        if _PENDING in versions:
            self._take_off(conn_id, versions[_PENDING])

    def keep_pending(self, conn_id: str, pending: KeptToken) -> None:
        """Keep a new token beside the current one."""
        self._ask(conn_id, "put_secret_value", **_as_version(pending), VersionStages=[_PENDING])

    def promote(self, conn_id: str) -> None:
        """Make the pending token the current one."""
        versions = self._versions_of_kept(conn_id)
        pending = _pending(versions)
        if pending is None:
            raise StoreUnusable(f"There is no pending token of '{conn_id}' that could become the current one.")
        move = {"VersionStage": _CURRENT, "MoveToVersionId": pending, "RemoveFromVersionId": versions[_CURRENT]}
        try:
            self._ask(conn_id, "update_secret_version_stage", **move)
        except StoreUnusable:
            # Sent again after its answer was lost, it is refused, since all is as it was to be.
            if self._versions_of_kept(conn_id).get(_CURRENT) != pending:
                raise
        try:
            self._take_off(conn_id, pending)
        except StoreUnusable as problem:
            # The current version is not pending, whatever it is called; the next pending one takes the label.
            log.warning("The label %s stays where it is for now. %s", _PENDING, problem)

    def drop_pending(self, conn_id: str) -> None:
        """Forget the pending token. A version without any label is deleted by AWS in time."""
        versions = self._versions_of_kept(conn_id)
        if _PENDING in versions:
            self._take_off(conn_id, versions[_PENDING])

    def check(self, conn_id: str) -> None:
        """Put a version that holds no secret, read it, and take its label off: all that a renewal does elsewhere.

        :raises StoreUnusable: naming the operation that is refused
        """
        made = self._ask(conn_id, "put_secret_value", SecretString="{}", VersionStages=[_PROBE])
        version = str(made["VersionId"])
        self._ask(conn_id, "get_secret_value", VersionId=version)
        self._ask(conn_id, "update_secret_version_stage", VersionStage=_PROBE, RemoveFromVersionId=version)

    def _take_off(self, conn_id: str, version: str) -> None:
        self._ask(conn_id, "update_secret_version_stage", VersionStage=_PENDING, RemoveFromVersionId=version)

    def _versions_of_kept(self, conn_id: str) -> Mapping[str, str]:
        versions = self._versions(conn_id)
        if versions is None:
            raise StoreUnusable(f"Nothing is kept of '{conn_id}' any more; was {self._secret(conn_id)} deleted?")
        return versions

    def _versions(self, conn_id: str) -> Mapping[str, str] | None:
        """Label to id of version; None when there is no secret. The labels of one moment, whoever moves them."""
        try:
            described = self._ask(conn_id, "describe_secret")
        except _NotThere:
            return None
        if described.get("DeletedDate"):
            raise StoreUnusable(
                f"Marked for deletion is {self._secret(conn_id)}. Restore it (aws secretsmanager restore-secret), or "
                "delete it at once; without it, the password of the Airflow connection counts again."
            )
        versions = described.get("VersionIdsToStages") or {}
        return {label: version for version, labels in versions.items() for label in labels}

    def _token(self, conn_id: str, version: str | None) -> KeptToken | None:
        """The token of a version; None when there is no such version, or it holds something else."""
        if version is None:
            return None
        text = self._ask(conn_id, "get_secret_value", VersionId=version).get("SecretString")
        if not text:
            return None
        hide_in_logs(text)
        try:
            token = KeptToken.from_dict(json.loads(text))
        except (ValueError, TypeError):
            return None
        hide_in_logs(token.secret)
        return token

    def _ask(self, conn_id: str, operation: str, **values: Any) -> dict[str, Any]:
        """One request.

        :raises StoreUnusable: it failed; of the problem's text, which may quote anything, only the kind is told
        """
        if operation != "create_secret":
            values["SecretId"] = self._prefix + conn_id
        with _without_debug_logs():
            try:
                answer: dict[str, Any] = getattr(self._client, operation)(**values)
            except StoreUnusable:
                raise
            except Exception as problem:  # noqa: BLE001 - whatever Airflow, botocore or AWS raises
                kind = _kind_of(problem)
            else:
                return answer
        if kind == "ResourceNotFoundException" and operation != "get_secret_value":
            raise _NotThere(f"Nothing is kept of '{conn_id}' any more; was {self._secret(conn_id)} deleted?")
        raise StoreUnusable(f"AWS: {operation} failed ({kind}) for {self._secret(conn_id)}.")

    def _secret(self, conn_id: str) -> str:
        """How the secret is called in messages."""
        return f"the secret '{self._prefix}{conn_id}' of AWS Secrets Manager (Airflow connection '{self._aws_conn_id}')"

    @cached_property
    def _client(self) -> Any:
        try:
            from airflow.providers.amazon.aws.hooks.secrets_manager import SecretsManagerHook  # noqa: PLC0415 (slow)
        except ImportError:
            raise StoreUnusable(
                "Tokens are to be kept in AWS Secrets Manager, but Airflow's Amazon provider is missing: pip install "
                "apache-airflow-providers-amazon."
            ) from None
        hook = SecretsManagerHook(aws_conn_id=self._aws_conn_id)  # type: ignore[no-untyped-call]
        # Without the Airflow connection, and also when Airflow stumbles over it, the hook would go on as whoever this
        # machine is for AWS: in another account, where no secret is there, old tokens would count.
        if hook.conn_config.conn_type is None:
            raise StoreUnusable(
                f"The Airflow connection '{self._aws_conn_id}' to AWS is not there, or can't be read just now. For the "
                "role of the machine itself, make one of type aws with nothing in it but the region."
            )
        return hook.get_conn()


class _NotThere(StoreUnusable):
    """AWS knows no such secret."""


def _pending(versions: Mapping[str, str]) -> str | None:
    """The version that is pending, and not current or replaced already: a promotion may have been cut short."""
    pending = versions.get(_PENDING)
    return None if pending in (versions.get(_CURRENT), versions.get(_PREVIOUS)) else pending


def _as_version(token: KeptToken) -> dict[str, str]:
    text = json.dumps(token.as_dict())
    hide_in_logs(token.secret)
    hide_in_logs(text)
    # However often a request is sent again, it makes one version.
    return {"SecretString": text, "ClientRequestToken": str(uuid.uuid4())}


def _kind_of(problem: Exception) -> str:
    """AWS's code for it, or the name of the exception."""
    answer = getattr(problem, "response", None)
    error = answer.get("Error") if isinstance(answer, Mapping) else None
    return str((error or {}).get("Code") or type(problem).__name__)


@contextmanager
def _without_debug_logs() -> Iterator[None]:
    """At DEBUG, botocore logs the bodies of requests and answers, and Airflow can set that for each logger by name."""
    with _quiet:
        names = [name for name in list(logging.root.manager.loggerDict) if name.split(".")[0] in _TALKATIVE]
        loggers = [logging.getLogger(name) for name in {*names, *_TALKATIVE}]
        levels = [(logger, logger.level) for logger in loggers if logger.getEffectiveLevel() < logging.INFO]
        for logger, _ in levels:
            logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            for logger, level in levels:
                logger.setLevel(level)


_TALKATIVE = ("botocore", "boto3")
