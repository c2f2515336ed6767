"""The control plane about content and its jobs: what people and schedules do to them, beside the REST API."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.tableau.clock import iso
from sandbox.tableau.connections import published_link, snowflake_connection
from sandbox.tableau.content import Content, ContentType, JobOutcome
from sandbox.tableau.jobs import Job

if TYPE_CHECKING:
    from sandbox.tableau.server import TableauServer
    from sandbox.tableau.site import Site

Said = dict[str, Any]


class Refused(Exception):
    """What the control plane does not do, with the status of the answer that says so."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def show_job(job: Job) -> Said:
    """A job, from the queue to its end."""
    return {
        "id": job.id,
        "content_id": job.content.id,
        "status": job.status.value,
        "created_at": iso(job.created_at),
        "started_at": iso(job.started_at) if job.started_at else None,
        "finish_code": job.finish_code,
        "notes": job.notes,
    }


def show_content(content: Content) -> Said:
    """A content with all that is embedded in it."""
    return {
        "content_type": content.content_type.value,
        "id": content.id,
        "name": content.name,
        "project": content.project.name,
        "owner": content.owner.name,
        "tags": content.tags,
        "type": content.type,
        "has_extracts": content.has_extracts,
        "size": content.size,
        "updated_at": iso(content.updated_at),
        "connections": [
            {
                "id": each.id,
                "type": each.type,
                "server_address": each.server_address,
                "server_port": each.server_port,
                "username": each.username,
                "embedded": each.embedded,
                "password": each.password,
                "auth": each.auth.value,
                "authentication_type": each.authentication_type,
                "disturbed": each.disturbed,
                "writes": len(each.writes),
                "target_of": each.target_of,
                "why": each.why,
            }
            for each in content.connections
        ],
    }


def _find_content(server: TableauServer, luid: str) -> tuple[Site, Content]:
    for site in server.state.sites:
        for content in site.contents:
            if content.id == luid:
                return site, content
    raise Refused(404, "no such content")


def set_job(server: TableauServer, said: Said) -> Any:
    """Say how a refresh of a content is to end, or put one into the queue."""
    with server.state.lock:
        _, content = _find_content(server, said["content_id"])
        if "outcome" in said or "queue" not in said:
            outcome = said.get("outcome")
            content.job_outcome = JobOutcome(outcome) if outcome else None
        answer: Said = {"content_id": content.id, "outcome": content.job_outcome}
        if "queue" in said:
            started = {"pending": False, "in_progress": True}[said["queue"]]
            job = server.state.queue_job(content, started=started, queue_seconds=said.get("queue_seconds"))
            answer["job"] = show_job(job)
        return answer


def republish(server: TableauServer, said: Said) -> Any:
    """Publish again, with what the author typed."""
    with server.state.lock:
        site, content = _find_content(server, said["content_id"])
        new_ids = bool(said.get("new_ids", False))
        site.republish(content, said["password"], user=said.get("user"), new_ids=new_ids)
        return show_content(content)


def edit(server: TableauServer, said: Said) -> Any:
    """Change an embedded password by hand."""
    with server.state.lock:
        for site in server.state.sites:
            for content in site.contents:
                connection = content.connection(said["connection_id"])
                if connection is not None:
                    site.edit_by_hand(content, connection, password=said.get("password"), username=said.get("user"))
                    return show_content(content)
        raise Refused(404, "no such connection")


def publish(server: TableauServer, said: Said) -> Any:
    """Publish a new data source or workbook, with Snowflake connections or links to published data sources."""
    with server.state.lock:
        details = dict(said)
        site = server.state.find_site(details.pop("site")) if "site" in details else server.state.site
        if site is None:
            raise Refused(404, "no such site")
        kind = ContentType(details.pop("content_type", ContentType.DATASOURCE))
        if kind not in {ContentType.DATASOURCE, ContentType.WORKBOOK}:
            raise Refused(400, "a data source or a workbook")
        add: Callable[..., Content] = site.add_datasource if kind is ContentType.DATASOURCE else site.add_workbook
        size = int(details.pop("size", 1))
        connections = [
            published_link(site.content(each["published"])) if "published" in each else snowflake_connection(**each)
            for each in details.pop("connections", [])
        ]
        content = add(**details, connections=connections)
        content.size = size
        content.created_at = content.updated_at = server.state.clock.now()
        return show_content(content)
