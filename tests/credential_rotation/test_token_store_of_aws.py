"""Tokens in AWS Secrets Manager: the real hook and client, over HTTP, and a server that stands for AWS."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from dataclasses import replace
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from credential_rotation.settings import Settings, UnusableEnvironment
from credential_rotation.token_stores.aws_secrets_manager import AwsSecretsManagerTokenStore
from credential_rotation.token_stores.chosen import chosen_store
from credential_rotation.token_stores.kept import KeptToken, KeptTokens, StoreUnusable
from credential_rotation.token_stores.variable import VariableTokenStore
from sandbox.leaks import Scanner

PREFIX = "credential_rotation/"
NAME = PREFIX + "snowflake_pat"
AWS_SECRET_KEY = "aws-secret-key-that-signs-requests"

ADOPTED = KeptToken("adopted-secret/+1", "ETL_TOKEN", "2026-12-01T00:00:00+00:00", is_renewed=False)
FIRST = KeptToken("first-renewed-secret=", "ETL_TOKEN", "2026-12-31T00:00:00+00:00")
SECOND = KeptToken("second-renewed-secret&", "ETL_TOKEN")
SECRETS = {token.secret: token.secret for token in (ADOPTED, FIRST, SECOND)} | {"AWS": AWS_SECRET_KEY}


class Killed(BaseException):
    """As a process is that is killed: nothing of ours goes on after it."""


@pytest.fixture(autouse=True)
def _empty_aws(monkeypatch: pytest.MonkeyPatch, aws: str, supervisor: object, nothing_masked: None) -> None:
    """Nothing of an earlier test, and nothing of this machine's own AWS."""
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection(aws))
    requests.post(f"{aws}/moto-api/reset", timeout=10).raise_for_status()


def aws_connection(endpoint: str) -> str:
    # Tried once only: that botocore waits longer and longer is not what counts here.
    extra = {"endpoint_url": endpoint, "region_name": "eu-central-1", "config_kwargs": {"retries": {"max_attempts": 0}}}
    return json.dumps({"conn_type": "aws", "login": "AKIAEXAMPLE", "password": AWS_SECRET_KEY, "extra": extra})


@pytest.fixture
def tokens() -> AwsSecretsManagerTokenStore:
    return AwsSecretsManagerTokenStore("aws_default", PREFIX)


def another() -> AwsSecretsManagerTokenStore:
    """As another task sees it."""
    return AwsSecretsManagerTokenStore("aws_default", PREFIX)


def client() -> Any:
    """AWS's own client, for what people and kills leave behind."""
    return another()._client


def labels() -> dict[str, list[str]]:
    """Which labels are on the version of each secret; those without any are left out."""
    described = client().describe_secret(SecretId=NAME)["VersionIdsToStages"]
    return {
        json.loads(client().get_secret_value(SecretId=NAME, VersionId=version)["SecretString"])["secret"]: sorted(found)
        for version, found in described.items()
        if found
    }


def kill_at(store: AwsSecretsManagerTokenStore, operation: str, time: int) -> None:
    """Kill what sends such a request for the n-th time, just before it is sent."""
    seen: list[object] = []

    def kill(**event: object) -> None:
        seen.append(event)
        if len(seen) == time:
            raise Killed

    store._client.meta.events.register(f"before-call.secrets-manager.{operation}", kill)


def test_nothing_is_kept_of_what_was_never_adopted(tokens: AwsSecretsManagerTokenStore) -> None:
    assert tokens.read("snowflake_pat") is None


def test_what_is_adopted_is_read_by_others(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    assert another().read("snowflake_pat") == KeptTokens(ADOPTED)
    assert another().read("snowflake_other") is None
    assert labels() == {ADOPTED.secret: ["AWSCURRENT"]}


def test_a_pending_token_leaves_the_current_one_alone(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", FIRST)
    assert another().read("snowflake_pat") == KeptTokens(ADOPTED, pending=FIRST)


def test_another_pending_token_takes_the_place_of_the_first(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", FIRST)
    tokens.keep_pending("snowflake_pat", SECOND)
    assert another().read("snowflake_pat") == KeptTokens(ADOPTED, pending=SECOND)


def test_a_promoted_token_is_current_and_the_one_before_it_is_the_previous(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", replace(FIRST, expires_at=None))
    tokens.keep_pending("snowflake_pat", FIRST)
    tokens.promote("snowflake_pat")
    assert another().read("snowflake_pat") == KeptTokens(FIRST, previous=ADOPTED)
    assert labels() == {FIRST.secret: ["AWSCURRENT"], ADOPTED.secret: ["AWSPREVIOUS"]}
    tokens.keep_pending("snowflake_pat", SECOND)
    tokens.promote("snowflake_pat")
    assert another().read("snowflake_pat") == KeptTokens(SECOND, previous=FIRST)


def test_a_dropped_token_is_forgotten(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", FIRST)
    tokens.drop_pending("snowflake_pat")
    tokens.drop_pending("snowflake_pat")
    assert another().read("snowflake_pat") == KeptTokens(ADOPTED)
    with pytest.raises(StoreUnusable, match="no pending token"):
        tokens.promote("snowflake_pat")


# What AWS may be asked for; a role may lack any of it.
OPERATIONS = {
    "put_secret_value": "PutSecretValue",
    "get_secret_value": "GetSecretValue",
    "update_secret_version_stage": "UpdateSecretVersionStage",
}


def test_to_check_leaves_what_is_kept_as_it_is(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", FIRST)
    for _ in range(2):
        tokens.check("snowflake_pat")
    assert tokens.read("snowflake_pat") == KeptTokens(ADOPTED, pending=FIRST)
    assert not [label for labels in labels().values() for label in labels if "PROBE" in label]


@pytest.mark.parametrize("denied", OPERATIONS)
def test_all_that_a_renewal_needs_is_tried_before_it(tokens: AwsSecretsManagerTokenStore, denied: str) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)

    def refuse(**_: object) -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, OPERATIONS[denied])

    setattr(tokens._client, denied, refuse)
    with pytest.raises(StoreUnusable, match=rf"AWS: {denied} failed \(AccessDeniedException\)"):
        tokens.check("snowflake_pat")
    assert another().read("snowflake_pat") == KeptTokens(ADOPTED)


def test_each_operation_of_a_renewal_is_one_that_is_tried_or_has_been_used(tokens: AwsSecretsManagerTokenStore) -> None:
    asked: set[str] = set()
    ask = tokens._ask

    def note(conn_id: str, operation: str, **values: Any) -> dict[str, Any]:
        asked.add(operation)
        return ask(conn_id, operation, **values)

    tokens._ask = note  # type: ignore[method-assign]
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.check("snowflake_pat")
    tried = set(asked)
    tokens.keep_pending("snowflake_pat", FIRST)
    tokens.promote("snowflake_pat")
    tokens.keep_pending("snowflake_pat", SECOND)
    tokens.drop_pending("snowflake_pat")
    tokens.read("snowflake_pat")
    assert asked == tried


def test_where_nothing_can_be_put_the_check_says_so(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    client().delete_secret(SecretId=NAME, ForceDeleteWithoutRecovery=True)
    with pytest.raises(StoreUnusable):
        tokens.check("snowflake_pat")


def test_what_is_adopted_anew_has_neither_a_previous_nor_a_pending_token(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", FIRST)
    by_a_person = replace(ADOPTED, secret="what a person has made instead")
    tokens.adopt("snowflake_pat", by_a_person)
    assert another().read("snowflake_pat") == KeptTokens(by_a_person)


def test_a_promotion_killed_before_its_first_request_leaves_the_token_pending(
    tokens: AwsSecretsManagerTokenStore,
) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", FIRST)
    kill_at(tokens, "UpdateSecretVersionStage", 1)
    with pytest.raises(Killed):
        tokens.promote("snowflake_pat")
    assert another().read("snowflake_pat") == KeptTokens(ADOPTED, pending=FIRST)


def test_a_promotion_killed_between_its_requests_is_done(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", FIRST)
    kill_at(tokens, "UpdateSecretVersionStage", 2)
    with pytest.raises(Killed):
        tokens.promote("snowflake_pat")
    assert labels()[FIRST.secret] == ["AWSCURRENT", "AWSPENDING"]
    assert another().read("snowflake_pat") == KeptTokens(FIRST, previous=ADOPTED)
    later = another()
    later.keep_pending("snowflake_pat", SECOND)
    assert later.read("snowflake_pat") == KeptTokens(FIRST, previous=ADOPTED, pending=SECOND)
    later.promote("snowflake_pat")
    assert later.read("snowflake_pat") == KeptTokens(SECOND, previous=FIRST)


def test_a_replaced_token_that_is_still_called_pending_is_not(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", FIRST)
    tokens.promote("snowflake_pat")
    versions = tokens._versions_of_kept("snowflake_pat")
    move = {"VersionStage": "AWSPENDING", "MoveToVersionId": versions["AWSPREVIOUS"]}
    client().update_secret_version_stage(SecretId=NAME, **move)
    assert tokens.read("snowflake_pat") == KeptTokens(FIRST, previous=ADOPTED)


def test_a_promotion_whose_answer_is_lost_is_done_when_it_is_sent_again(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", FIRST)
    sent: list[str] = []

    def send_twice(params: dict[str, Any], **_: object) -> None:
        if not sent:
            sent.append(params["body"])
            client().update_secret_version_stage(**json.loads(params["body"]))

    tokens._client.meta.events.register("before-call.secrets-manager.UpdateSecretVersionStage", send_twice)
    tokens.promote("snowflake_pat")
    assert sent
    assert another().read("snowflake_pat") == KeptTokens(FIRST, previous=ADOPTED)
    assert labels()[FIRST.secret] == ["AWSCURRENT"]


@pytest.mark.parametrize("change", ["keep_pending", "promote", "drop_pending"])
def test_nothing_can_be_changed_of_what_is_not_kept(tokens: AwsSecretsManagerTokenStore, change: str) -> None:
    with pytest.raises(StoreUnusable, match=f"Nothing is kept of 'snowflake_pat' any more.*'{NAME}'"):
        getattr(tokens, change)("snowflake_pat", *([FIRST] if change == "keep_pending" else []))
    assert tokens.read("snowflake_pat") is None


@pytest.mark.parametrize("change", ["read", "adopt", "keep_pending", "promote", "drop_pending"])
def test_a_secret_marked_for_deletion_is_not_one_that_is_not_there(
    tokens: AwsSecretsManagerTokenStore, change: str
) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    client().delete_secret(SecretId=NAME)
    # The server that stands for AWS puts a value there all the same; AWS does not (InvalidRequestException).
    if change != "keep_pending":
        with pytest.raises(StoreUnusable, match="Marked for deletion"):
            getattr(tokens, change)("snowflake_pat", *([FIRST] if change == "adopt" else []))
    client().restore_secret(SecretId=NAME)
    assert tokens.read("snowflake_pat") == KeptTokens(ADOPTED)


@pytest.mark.parametrize(
    "held", ["only-a-secret", "[]", '{"secret": "s3cret-and-no-name"}', '{"secret": 1, "name": ""}']
)
def test_something_else_in_the_secret_is_told_without_it(tokens: AwsSecretsManagerTokenStore, held: str) -> None:
    client().create_secret(Name=NAME, SecretString=held)
    with pytest.raises(StoreUnusable, match="something else than a token") as told:
        tokens.read("snowflake_pat")
    assert held not in str(told.value)


def test_a_secret_without_a_value_is_told(tokens: AwsSecretsManagerTokenStore) -> None:
    client().create_secret(Name=NAME, SecretBinary=b"not a text")
    with pytest.raises(StoreUnusable, match="something else than a token"):
        tokens.read("snowflake_pat")


def test_what_a_person_broke_and_put_back_counts_again(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", FIRST)
    tokens.promote("snowflake_pat")
    good = tokens._versions_of_kept("snowflake_pat")["AWSCURRENT"]
    broken = client().put_secret_value(SecretId=NAME, SecretString="oops")["VersionId"]
    with pytest.raises(StoreUnusable):
        tokens.read("snowflake_pat")
    move = {"VersionStage": "AWSCURRENT", "MoveToVersionId": good, "RemoveFromVersionId": broken}
    client().update_secret_version_stage(SecretId=NAME, **move)
    assert tokens.read("snowflake_pat") == KeptTokens(FIRST)


def test_a_pending_token_that_was_overwritten_is_told(tokens: AwsSecretsManagerTokenStore) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    client().put_secret_value(SecretId=NAME, SecretString="oops", VersionStages=["AWSPENDING"])
    with pytest.raises(StoreUnusable, match="AWSPENDING"):
        tokens.read("snowflake_pat")


@pytest.mark.parametrize("change", ["read", "adopt", "keep_pending", "promote", "drop_pending"])
def test_an_aws_that_is_not_reached_is_not_one_without_the_secret(
    monkeypatch: pytest.MonkeyPatch, tokens: AwsSecretsManagerTokenStore, change: str
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", aws_connection("http://127.0.0.1:9"))
    with pytest.raises(StoreUnusable, match="EndpointConnectionError") as told:
        getattr(tokens, change)("snowflake_pat", *([FIRST] if change in ("adopt", "keep_pending") else []))
    assert not Scanner(SECRETS).data("".join(traceback.format_exception(told.value)), "the error")


def test_without_the_airflow_connection_nobody_else_is_asked(
    monkeypatch: pytest.MonkeyPatch, aws: str, tokens: AwsSecretsManagerTokenStore
) -> None:
    tokens.adopt("snowflake_pat", ADOPTED)
    monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT")
    # What the machine is for AWS: somebody else, who has no such secret.
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    with pytest.raises(StoreUnusable, match="Airflow connection 'aws_default' to AWS is not there"):
        another().read("snowflake_pat")


def test_without_amazons_provider_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tokens: AwsSecretsManagerTokenStore
) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.amazon.aws.hooks.secrets_manager", None)
    with pytest.raises(StoreUnusable, match="pip install apache-airflow-providers-amazon"):
        tokens.read("snowflake_pat")


def test_no_secret_shows_in_logs_at_debug_nor_in_errors_nor_in_reprs(
    caplog: pytest.LogCaptureFixture, tokens: AwsSecretsManagerTokenStore
) -> None:
    # As with Airflow's [logging] namespace_levels: the loggers themselves, by their names.
    talkative = ["botocore", *(name for name in logging.root.manager.loggerDict if name.startswith("botocore."))]
    for name in ("", *talkative, "botocore.endpoint", "botocore.parsers", "urllib3"):
        caplog.set_level(logging.DEBUG, logger=name or None)
    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", FIRST)
    tokens.promote("snowflake_pat")
    tokens.keep_pending("snowflake_pat", SECOND)
    read = tokens.read("snowflake_pat")
    assert read == KeptTokens(FIRST, previous=ADOPTED, pending=SECOND)
    logged = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records]
    assert logged
    scanner = Scanner(SECRETS)
    assert not scanner.data("\n".join([*logged, repr(read), repr(tokens), repr(tokens.__dict__)]), "logs and reprs")
    assert logging.getLogger("botocore.endpoint").level == logging.DEBUG


def test_botocore_by_itself_would_log_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client().create_secret(Name=NAME, SecretString=FIRST.secret)
    assert Scanner(SECRETS).data(caplog.text, "the logs")


def test_airflow_masks_what_is_read_and_what_is_written(tokens: AwsSecretsManagerTokenStore) -> None:
    from airflow.sdk._shared.secrets_masker import reset_secrets_masker  # noqa: PLC0415
    from airflow.sdk.log import redact  # noqa: PLC0415

    tokens.adopt("snowflake_pat", ADOPTED)
    tokens.keep_pending("snowflake_pat", SECOND)
    assert redact(f"{ADOPTED.secret} {SECOND.secret}") == "*** ***"
    reset_secrets_masker()
    another().read("snowflake_pat")
    assert redact(f"{ADOPTED.secret} {SECOND.secret}") == "*** ***"


def settings(text: str) -> Settings:
    return Settings.from_environment({"CREDENTIAL_ROTATION_TOKEN_STORE": text})


def test_the_setting_chooses_the_place() -> None:
    assert isinstance(chosen_store(settings("")), VariableTokenStore)
    assert isinstance(chosen_store(settings("variable")), VariableTokenStore)
    chosen = chosen_store(settings("aws-secrets-manager://aws_default/credential_rotation/"))
    assert isinstance(chosen, AwsSecretsManagerTokenStore)
    chosen.adopt("snowflake_pat", ADOPTED)
    assert labels() == {ADOPTED.secret: ["AWSCURRENT"]}


@pytest.mark.parametrize(
    "text",
    [
        "vault",
        "Variable",
        "aws-secrets-manager",
        "aws-secrets-manager://aws_default",
        "aws-secrets-manager://aws_default/",
        "aws-secrets-manager:///credential_rotation/",
        "aws-secrets-manager://aws_default/with space/",
        "aws-secrets-manager://aws_default/prüfix/",
    ],
)
def test_a_wrong_setting_is_told_with_an_example(text: str) -> None:
    with pytest.raises(UnusableEnvironment, match="aws-secrets-manager://aws_default/credential_rotation/"):
        chosen_store(settings(text))
