"""What files and folders are called that are named after something: a run, an Airflow connection, a site."""

from __future__ import annotations

import hashlib
import re

# Airflow takes run ids by a pattern that can be set ([scheduler] allowed_run_id_pattern), of up to 250 characters:
# by default of letters, digits and _.~:+- (and a line break at the end), '.' among them, and '..' where [core]
# allow_double_dot_in_ids is on. Ids of connections in the environment or in a secrets backend may be any string.
#
# Escaped is whatever means something on a disk, in an object store or in a URL. '::' chains file systems in fsspec, so
# that all files of the run 'nov::2' would be one; a single colon is in most run ids, and stays. What begins with a dot
# would be hidden, if it is not another folder.
_ESCAPED = re.compile(r"[^\w .~:+@=,!#()-]|(?<=:):|\A\.")
_LONGEST = 255  # bytes, on common file systems
_KEPT = 200


def path_part(name: str) -> str:
    """One part of a path, such as ``<run id>`` or ``<connection>.json``.

    Ordinary names stay as they are. In others, percent signs escape what is no mere character of a name, and a name
    that is too long ends in a hash. It never leads to another folder, and different names have different parts.
    """
    part = _ESCAPED.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)
    if len(part.encode()) > _LONGEST:
        # No escape begins with "%-".
        part = f"{part.encode()[:_KEPT].decode(errors='ignore')}%-{hashlib.sha256(name.encode()).hexdigest()[:32]}"
    return part or "%"


def json_file(name: str) -> str:
    """The name of the JSON file about something that has a name, such as an Airflow connection."""
    return path_part(f"{name}.json")


def file_named_after(text: str) -> str:
    """The name of a JSON file about something, for people to recognise; whatever the text holds, it is no path."""
    readable = re.sub("[^a-z0-9.-]+", "-", text.partition("://")[2] or text).strip("-.")[:80]
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:8]}.json"
