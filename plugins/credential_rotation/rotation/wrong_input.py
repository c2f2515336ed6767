"""The error of a run that can't be started as it was asked for."""

from __future__ import annotations


class UnusableParams(ValueError):
    """The run was asked for something that can't be done; nothing was looked at or written."""
