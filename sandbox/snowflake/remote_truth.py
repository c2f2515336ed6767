"""The truth about Snowflake secrets for a sandbox Tableau in another process."""

from __future__ import annotations

import json
import ssl
import urllib.request
from pathlib import Path

from sandbox.snowflake_accounts import SignInAnswer


class RemoteTruth:
    """Asks a sandbox Snowflake over its control plane; it is a `SnowflakeTruth`.

    :param url: where the sandbox listens.
    :param ca_file: the certificate of its authority; None for plain http.
    """

    def __init__(self, url: str, ca_file: Path | None = None) -> None:
        self.url = f"{url}/_sandbox/sign_in"
        self._context = ssl.create_default_context(cafile=str(ca_file)) if ca_file else None

    def sign_in(self, *, address: str, user: str, secret: str, client: str) -> SignInAnswer:
        """Whether this secret signs in as a password; see `SnowflakeTruth`."""
        said = json.dumps({"address": address, "user": user, "secret": secret, "client": client}).encode()
        request = urllib.request.Request(self.url, data=said, method="POST")  # noqa: S310 - the sandbox's own address
        with urllib.request.urlopen(request, timeout=10, context=self._context) as response:  # noqa: S310
            return SignInAnswer(**json.load(response))
