"""Versions of Tableau's REST API, compared as numbers: 3.10 is newer than 3.9."""

from __future__ import annotations

from typing import NamedTuple


class ApiVersion(NamedTuple):
    """A version such as 3.26."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> ApiVersion:
        """Read ``"3.26"``.

        :raises ValueError: when it is no such version
        """
        major, dot, minor = text.strip().partition(".")
        if not (dot and major.isdecimal() and minor.isdecimal()):
            raise ValueError(f"{text!r} is no version of Tableau's REST API; one looks like 3.26")
        return cls(int(major), int(minor))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


# Server info answers at this version everywhere (server-client-python asks for it there, too).
SERVER_INFO_VERSION = ApiVersion(2, 4)
# Signing in with a Tableau PAT (3.6) and asking for the connections of flows (3.3) both need no more than this.
OLDEST = ApiVersion(3, 6)
JWT_SIGN_IN = ApiVersion(3, 17)
VIRTUAL_CONNECTIONS = ApiVersion(3, 18)
