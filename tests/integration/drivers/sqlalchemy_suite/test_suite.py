"""The compliance suite of dialects that python3-sqlalchemy ships."""

from sqlalchemy.testing.suite import *  # noqa: F401,F403 pylint: disable=wildcard-import
