"""Reports in a bucket, which the api-server opens with the Airflow connection that the URL names, or without one."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable

import boto3
import pytest

from credential_rotation.run_folder import Folder
from tests.builders import target, targets
from tests.credential_rotation.fleet.story import ROTATION, Story
from tests.credential_rotation.fleet.test_fleet import updated
from tests.credential_rotation.pages.airflow_around import Visitor
from tests.credential_rotation.pages.test_app_access import PAGES, write_table

Put = Callable[[str, str], None]


@pytest.fixture
def bucket(aws: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its name; who knows no Airflow connection finds the keys in the environment."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "the-key",
        "AWS_SECRET_ACCESS_KEY": "the-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": aws,
    }.items():
        monkeypatch.setenv(name, value)
    extra = {"endpoint_url": aws, "region_name": "us-east-1"}
    conn = {"conn_type": "aws", "login": "the-key", "password": "the-secret", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_REPORTS", json.dumps(conn))
    name = f"reports-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture(params=["s3://aws_reports@{}/rotation", "s3://{}/rotation"], ids=["connection", "environment"])
def reports(request: pytest.FixtureRequest, bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    url: str = request.param.format(bucket)
    monkeypatch.setenv("CREDENTIAL_ROTATION_REPORTS", url)
    return url


@pytest.fixture
def put(bucket: str) -> Put:
    """As another process does."""

    def write(key: str, text: str) -> None:
        boto3.client("s3").put_object(Bucket=bucket, Key=f"rotation/{key}", Body=text.encode())

    return write


def test_each_page_is_there(visitor: Visitor, reports: str) -> None:
    Story(reports).rotate(updated(*targets(2)))
    write_table(reports)
    for path in PAGES.values():
        assert visitor.get(path).status_code == 200
    assert "2 on the current token" in visitor.sees("/").text
    assert len(visitor.sees(PAGES["/run"]).rows) == 2
    assert "This run has left no report yet" in visitor.sees(f"/run?dag_id={ROTATION}&run_id=other").text


def test_what_another_process_writes_is_seen_at_once(visitor: Visitor, reports: str, put: Put) -> None:
    Story(reports).rotate(updated(target()))
    visitor.sees("/")
    visitor.sees(PAGES["/run"])
    report = Folder(reports).read(f"{ROTATION}/run-1/report.json")
    put(f"{ROTATION}/run-1/report.json", json.dumps(report | {"problems": ["Somebody cleared a task."]}))
    assert "Somebody cleared a task." in visitor.sees(PAGES["/run"]).text


def test_a_file_that_was_listed_and_written_again_is_read_as_it_is_now(reports: str, put: Put) -> None:
    folder = Folder(reports)
    put("sites/a.json", '{"v": 1}')
    assert folder.names("sites") == ["sites/a.json"]
    put("sites/a.json", '{"v": 1, "longer": "than before"}')
    put("sites/b.json", "{}")
    assert folder.read("sites/a.json") == {"v": 1, "longer": "than before"}
    assert folder.names("sites") == ["sites/a.json", "sites/b.json"]
