"""The pages with what Airflow's api-server puts around them: its login, its auth manager, its database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
from airflow.api_fastapi.app import _AuthManagerState
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.auth.middlewares.refresh_token import JWTRefreshMiddleware
from fastapi import FastAPI
from fastapi.testclient import TestClient

from credential_rotation.pages.app import app
from tests.credential_rotation.pages.seen_page import SeenPage

PREFIX = "/credential-rotation"


class PerDag(SimpleAuthManager):
    """Knows roles, and lets a user whose name is that of a DAG see that DAG alone, as other auth managers may."""

    def is_authorized_dag(
        self, *, user: SimpleAuthManagerUser, details: DagDetails | None = None, **asked: Any
    ) -> bool:
        if "_pat" in user.username and (details is None or details.id != user.username):
            return False
        return super().is_authorized_dag(user=user, details=details, **asked)


@dataclass
class Visitor:
    """Somebody with a browser."""

    client: TestClient

    def get(self, path: str) -> httpx.Response:
        """What our pages answer to this."""
        return self.client.get(PREFIX + path, follow_redirects=False)

    def sees(self, path: str) -> SeenPage:
        """A page that is there."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text[:500]
        return SeenPage(answer.text)

    def reads(self, path: str) -> Any:
        """JSON that is there."""
        answer = self.get(path)
        assert answer.status_code == 200, answer.text[:500]
        return answer.json()


class AirflowAround:
    """Makes visitors.

    :param base: the path of [api] base_url
    """

    def __init__(self, base: str = "") -> None:
        self._auth = PerDag()
        _AuthManagerState.instance = self._auth
        self._base = base
        self._app = FastAPI(root_path=base)
        self._app.mount(PREFIX, app)
        self._app.add_middleware(JWTRefreshMiddleware)

    def visitor(self, role: str | None = "VIEWER", name: str = "ann") -> Visitor:
        """Somebody who has signed in."""
        visitor = self.stranger()
        token = self._auth.generate_jwt(SimpleAuthManagerUser(username=name, role=role))
        visitor.client.cookies.set(COOKIE_NAME_JWT_TOKEN, token)
        return visitor

    def stranger(self) -> Visitor:
        """Somebody who has not."""
        return Visitor(TestClient(self._app, base_url=f"http://airflow.acme.example{self._base}"))
