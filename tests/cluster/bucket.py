"""A bucket for reports, on what stands for S3."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import boto3

CONN_ID = "bucket_for_reports"
KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "secret/of+the-bucket-4711"
REGION = "eu-central-1"
FOLDER = "tableau/rotations"


@dataclass(frozen=True)
class Bucket:
    """A bucket, and what is in it.

    :param endpoint: the address of the server
    """

    endpoint: str
    name: str

    @property
    def url(self) -> str:
        """What CREDENTIAL_ROTATION_REPORTS is set to."""
        return f"s3://{CONN_ID}@{self.name}/{FOLDER}"

    @property
    def connection(self) -> dict[str, object]:
        """The Airflow connection that the address names."""
        extra = {"endpoint_url": self.endpoint, "region_name": REGION}
        return {"conn_type": "aws", "login": KEY_ID, "password": SECRET, "extra": extra}

    def make(self) -> None:
        self._client.create_bucket(Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": REGION})

    def read(self, name: str) -> Any:
        """A JSON file below the folder of reports."""
        return json.loads(self._client.get_object(Bucket=self.name, Key=f"{FOLDER}/{name}")["Body"].read())

    def objects(self) -> dict[str, bytes]:
        """Every object, by its key."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        keys = [each["Key"] for page in pages for each in page.get("Contents", ())]
        return {key: self._client.get_object(Bucket=self.name, Key=key)["Body"].read() for key in keys}

    def unfinished_uploads(self) -> list[str]:
        """The keys of objects that somebody has begun to write in parts, and not ended."""
        return [each["Key"] for each in self._client.list_multipart_uploads(Bucket=self.name).get("Uploads", ())]

    @property
    def _client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
        )
