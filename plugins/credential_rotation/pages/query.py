"""What the query of a page may name. All else is answered as what does not exist."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import Depends

from credential_rotation.pages.answers import NoSuchThing

# What Airflow lets ids of DAGs be made of, and no name of a folder above. Ids of runs may be anything: file_names.
_DAG_ID = re.compile(r"(?!\.+$)[\w.-]{1,250}", re.ASCII)
_RUN_ID = re.compile(r".{1,250}", re.DOTALL)
_LUID = re.compile(r"[\w-]{1,100}", re.ASCII)
# Where Tableau is, and the site's own name there; see TableauSettings.site_key.
_SITE_KEY = re.compile(r"https?://[\w.:\[\]/-]{1,300}\|[\w -]{0,200}")


def _dag_id(dag_id: str = "") -> str:
    return _checked(_DAG_ID, dag_id, "No DAG has such an id.")


def _run_id(run_id: str = "") -> str:
    return _checked(_RUN_ID, run_id, "No run has such an id.")


def _site(site: str = "") -> str:
    return _checked(_SITE_KEY, site, "No site has such a name.")


def _content_id(content_id: str = "") -> str:
    return _checked(_LUID, content_id, "Nothing in Tableau has such an id.")


def _connection_id(connection_id: str = "") -> str:
    return _checked(_LUID, connection_id, "No connection has such an id.")


def _checked(pattern: re.Pattern[str], value: str, refusal: str) -> str:
    if not pattern.fullmatch(value):
        raise NoSuchThing(refusal)
    return value


DagId = Annotated[str, Depends(_dag_id)]
RunId = Annotated[str, Depends(_run_id)]
SiteKey = Annotated[str, Depends(_site)]
ContentId = Annotated[str, Depends(_content_id)]
ConnectionId = Annotated[str, Depends(_connection_id)]
