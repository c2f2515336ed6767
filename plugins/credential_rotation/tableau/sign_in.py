"""The three ways to sign in to Tableau: each turns settings into the ``<credentials>`` of a sign-in request.

https://help.tableau.com/current/api/rest_api/en-us/REST/rest_api_ref_authentication.htm#sign_in
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Protocol
from xml.etree.ElementTree import Element, SubElement

import jwt

from credential_rotation.tableau.settings import Auth, TableauSettings

# Tableau refuses a token that lives longer than ten minutes; a short life tolerates a clock that is a little off.
_JWT_LIFE = timedelta(minutes=5)


class SignIn(Protocol):
    """A way to sign in."""

    def credentials(self, settings: TableauSettings) -> Element:
        """The ``<credentials>`` element, without the site."""


class PasswordSignIn:
    """User name and password. Not usable on Tableau Cloud with multi-factor authentication."""

    def credentials(self, settings: TableauSettings) -> Element:
        """Name and password."""
        return Element("credentials", {"name": settings.login, "password": settings.secret})


class TableauPatSignIn:
    """A Tableau PAT. Signing in a second time with the same one ends the first session (server-client-python #717)."""

    def credentials(self, settings: TableauSettings) -> Element:
        """Name and secret of the Tableau PAT."""
        return Element(
            "credentials",
            {"personalAccessTokenName": settings.login, "personalAccessTokenSecret": settings.secret},
        )


class ConnectedAppSignIn:
    """A Connected App with direct trust: a JSON Web Token that we sign with the app's secret.

    https://help.tableau.com/current/online/en-us/connected_apps_direct.htm
    """

    def credentials(self, settings: TableauSettings) -> Element:
        """A fresh token."""
        return Element("credentials", {"jwt": self._token(settings)})

    def _token(self, settings: TableauSettings) -> str:
        now = datetime.now(UTC)
        return jwt.encode(
            {
                "iss": settings.client_id,
                "sub": settings.login,
                "aud": "tableau",
                "jti": str(uuid.uuid4()),
                "iat": now,
                "exp": now + _JWT_LIFE,
                "scp": list(settings.scopes),
            },
            settings.secret,
            algorithm="HS256",
            headers={"kid": settings.secret_id, "iss": settings.client_id},
        )


_WAYS: dict[Auth, SignIn] = {
    Auth.PASSWORD: PasswordSignIn(),
    Auth.PAT: TableauPatSignIn(),
    Auth.JWT: ConnectedAppSignIn(),
}


def credentials_with_site(settings: TableauSettings) -> Element:
    """The whole ``<credentials>`` element for these settings; an empty site means the Default site of a Server."""
    element = _WAYS[settings.auth].credentials(settings)
    SubElement(element, "site", {"contentUrl": settings.site})
    return element
