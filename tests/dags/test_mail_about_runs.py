"""One mail for each run, by Airflow's SmtpNotifier, as a mail server gets it."""

from __future__ import annotations

import email
import json
import socket
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import default
from typing import Any
from urllib.parse import quote

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from sandbox import stage
from sandbox.airflow_settings import connection_environment
from sandbox.tableau import TableauCode, TableauServer, TableauState
from tests.dags.airflow_under_test import AirflowUnderTest
from tests.dags.rotations import Rotations
from tests.dags.small_tableau import ETL, canary_of, small_tableau

UI = "https://airflow.acme.example"
HOSTILE = "<img src=x onerror=alert(1)>\r\nBcc: everybody@acme.example"
# As docs/monitoring.md has it.
NOTIFIER = {
    "class": "airflow.providers.smtp.notifications.smtp.SmtpNotifier",
    "kwargs": {
        "to": "bi@acme.example",
        "subject": "{{ credential_rotation.subject }}",
        "html_content": "{{ credential_rotation.html }}",
    },
}


class MailServer:
    """Keeps what is delivered to it."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.controller = Controller(self, hostname="127.0.0.1", port=_free_port())

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        self.envelopes.append(envelope)
        return "250 OK"

    @property
    def mails(self) -> list[EmailMessage]:
        return [email.message_from_bytes(each.content or b"", policy=default) for each in self.envelopes]  # type: ignore[arg-type,misc]

    @property
    def environment(self) -> dict[str, str]:
        """What lets a run send its mail here."""
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@acme.example", "retry_limit": 1}
        connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": self.controller.port, "extra": extra}
        return {
            "CREDENTIAL_ROTATION_NOTIFIER": json.dumps(NOTIFIER),
            "AIRFLOW__API__BASE_URL": UI,
            **connection_environment({"smtp_default": connection}),
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    server.controller.start()
    yield server
    server.controller.stop()


@pytest.fixture
def site(serve: Callable[[TableauState], TableauServer]) -> TableauServer:
    return serve(small_tableau(ETL))


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    content: str = body.get_content()
    return content


def test_a_good_run_sends_one_mail_with_its_numbers_and_a_link(
    rotate: Rotations, site: TableauServer, mail_server: MailServer
) -> None:
    run = rotate(site, environment=mail_server.environment)
    assert run.state == "success"
    [mail] = mail_server.mails
    assert (mail["To"], mail["From"]) == ("bi@acme.example", "airflow@acme.example")
    assert mail["Subject"] == "rotate_snowflake_pat_in_tableau: success. 3 updated of 3 targets."
    html = html_of(mail)
    assert '<tr><td>updated</td><td align="right">3</td></tr>' in html
    assert '<tr><td>excluded: published_data_source</td><td align="right">1</td></tr>' in html
    assert f'<a href="{UI}/dags/rotate_snowflake_pat_in_tableau/runs/{quote(run.run_id)}">{run.run_id}</a>' in html


def test_a_failing_run_sends_one_with_the_reason_in_which_a_hostile_name_is_text(
    rotate: Rotations, site: TableauServer, mail_server: MailServer
) -> None:
    failing = canary_of(site.state.site, ETL)
    failing.name = HOSTILE
    site.faults.script("update_connection", TableauCode("403004", "No."), {"content_id": failing.id})
    run = rotate(site, environment=mail_server.environment)
    assert run.state == "failed"
    [mail] = mail_server.mails
    assert mail["Subject"].startswith("rotate_snowflake_pat_in_tableau: failed. ")
    assert mail["Bcc"] is None
    assert [envelope.rcpt_tos for envelope in mail_server.envelopes] == [["bi@acme.example"]]
    html = html_of(mail)
    assert "&lt;img src=x onerror=alert(1)&gt; Bcc: everybody@acme.example" in html
    assert "<img" not in html
    assert "403004" in html


def test_no_mail_holds_a_secret(rotate: Rotations, site: TableauServer, mail_server: MailServer) -> None:
    rotate(site, environment=mail_server.environment)
    raw = b"".join(envelope.content or b"" for envelope in mail_server.envelopes).decode()  # type: ignore[union-attr,misc]
    assert not [name for name, secret in rotate.secrets.items() if secret in raw]


def test_a_mail_server_that_is_away_changes_nothing_about_the_run(rotate: Rotations, site: TableauServer) -> None:
    run = rotate(site, environment=MailServer().environment)
    assert (run.state, run.states("report")) == ("success", ["success"])
    assert rotate.airflow.events(run)


def test_a_renewal_sends_one_too(airflow: AirflowUnderTest, site: TableauServer, mail_server: MailServer) -> None:
    connections = stage.airflow_connections(site.port, site.state.site)
    run = airflow.run(stage.conf([ETL]), connections, environment=mail_server.environment, dag=stage.RENEWAL_DAG_ID)
    assert run.state == "failed"  # there is no administrator
    [mail] = mail_server.mails
    assert mail["Subject"].startswith("renew_snowflake_pat: failed. ")
    assert "there is no Airflow connection &#39;snowflake_admin&#39;" in html_of(mail)
