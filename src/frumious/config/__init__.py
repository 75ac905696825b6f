"""The configuration file: bandersnatch's INI dialect and keys -> frozen settings, read once.

One table (`options.OPTIONS`) drives the reading, the default file and the reference in docs/configuration.md. Nothing
here looks at the environment, opens a connection or knows what a setting is used for.
"""

from __future__ import annotations

from frumious.config.default_file import default_config_text, write_default_config
from frumious.config.diff_file import diff_paths, is_taken
from frumious.config.loading import load, parse_config
from frumious.config.pypi import default_master
from frumious.config.settings import (
    DefaultNotWritten,
    Line,
    Loaded,
    MinFree,
    MissingConfig,
    Place,
    Settings,
    SimpleFormat,
)

__all__ = [
    "DefaultNotWritten",
    "Line",
    "Loaded",
    "MinFree",
    "MissingConfig",
    "Place",
    "Settings",
    "SimpleFormat",
    "default_config_text",
    "default_master",
    "diff_paths",
    "is_taken",
    "load",
    "parse_config",
    "write_default_config",
]
