"""SQLAlchemy's own plugin for pytest, as makers of dialects use it."""

import pytest

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

# pylint: disable=wrong-import-position,unused-wildcard-import,wildcard-import
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402,F401,F403
