"""The page "Credential rotation" in the Airflow UI: in the navigation, and as a tab of each DAG run."""

from __future__ import annotations

import logging
from typing import Any

from airflow.plugins_manager import AirflowPlugin

log = logging.getLogger(__name__)

_PREFIX = "credential-rotation"


class CredentialRotationPlugin(AirflowPlugin):
    """Scheduler and workers load plugins, too, and need no page: it is made when the api-server asks for it."""

    name = "credential_rotation"

    # Relative, so that they hold below [api] base_url whatever its path is.
    external_views = [  # noqa: RUF012 (as Airflow has it)
        {
            "name": "Credential rotation",
            "href": f"{_PREFIX}/",
            "destination": "nav",
            "category": "browse",
            "url_route": _PREFIX,
        },
        {
            "name": "Credential rotation",
            "href": f"{_PREFIX}/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
            "destination": "dag_run",
            "url_route": f"{_PREFIX}-run",
        },
    ]

    @property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The page; a sentence in its place, when it can't be made: an Airflow that does not start would be worse."""
        app: Any
        try:
            from credential_rotation.pages.app import app  # noqa: PLC0415 (see the class)
        except Exception:
            log.exception("The page 'Credential rotation' can't be made.")
            app = _sentence()
        return [{"name": self.name, "app": app, "url_prefix": f"/{_PREFIX}"}]


def _sentence() -> Any:
    """What all paths answer then. With nothing there, Airflow would show itself inside its own frame."""
    from starlette.responses import PlainTextResponse  # noqa: PLC0415 (see the class)

    return PlainTextResponse(
        "This page can't be made here. The log of Airflow's api-server says why.",
        503,
        {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"},
    )
