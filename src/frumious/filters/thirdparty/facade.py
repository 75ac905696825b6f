"""The modules that plugins of bandersnatch import: the real ones if they are installed, else stand-ins.

The stand-ins are the documented contract (bandersnatch 8: `bandersnatch.filter`, `bandersnatch.configuration`) and no
more. They can be imported only inside `bandersnatch_modules`, so nothing else takes them for the real package.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from abc import ABCMeta
from collections.abc import Iterator
from configparser import ConfigParser, SectionProxy
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from frumious.filters.plugin import Context


class _OneInstance(ABCMeta):
    """Calling the class always gives the same object, as with bandersnatch: its plugins rely on it."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if "_one" not in cls.__dict__:
            cls._one = super().__call__(*args, **kwargs)
        return cls._one


class BandersnatchConfig(ConfigParser, metaclass=_OneInstance):
    """The configuration file, filled in by `configure`; arguments are those of the real class, and of no effect."""

    def __init__(self, config_file: object = None, load_defaults: object = True) -> None:  # noqa: ARG002, FBT002 - theirs
        super().__init__(delimiters=("=",))

    def optionxform(self, optionstr: str) -> str:
        """Keep capitals, which the base class would lower."""
        return optionstr

    @property
    def config(self) -> ConfigParser:
        """Where the parser was before bandersnatch 8."""
        return self


class Filter:
    """What all plugins inherit; `initialize_plugin` is called once, for an enabled plugin."""

    name = "filter"
    deprecated_name = ""

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        self.configuration: ConfigParser = BandersnatchConfig()
        enabled = self.configuration.get("plugins", "enabled", fallback="").split("\n")
        if self.name in enabled or (self.deprecated_name and self.deprecated_name in enabled):
            self.initialize_plugin()

    def initialize_plugin(self) -> None:
        """Read the configuration."""

    def filter(self, metadata: dict[str, Any]) -> bool:  # noqa: ARG002 - theirs
        """Say whether to keep what is described."""
        return False

    def check_match(self, **kwargs: Any) -> bool:  # noqa: ARG002 - theirs
        """Answer a question of the plugin's own."""
        return False

    def pinned_version_exists(self, metadata: dict[str, Any]) -> bool:  # noqa: ARG002 - theirs
        """Say whether the plugin decides alone; bandersnatch asks only its own plugins."""
        return False

    @property
    def allowlist(self) -> SectionProxy:
        """The section `[allowlist]`; KeyError where there is none."""
        return self.configuration["allowlist"]

    @property
    def blocklist(self) -> SectionProxy:
        """The section `[blocklist]`; KeyError where there is none."""
        return self.configuration["blocklist"]


class FilterProjectPlugin(Filter):
    """Judges `{"info": {"name": …}}`."""

    name = "project_plugin"


class FilterMetadataPlugin(Filter):
    """Judges a whole legacy JSON document."""

    name = "metadata_plugin"


class FilterReleasePlugin(Filter):
    """Judges `{"info": …, "version": …, "releases": …}`."""

    name = "release_plugin"


class FilterReleaseFilePlugin(Filter):
    """Judges `{"info": …, "release": …, "release_file": …}`."""

    name = "release_file_plugin"


_FILTER = (
    Filter,
    FilterProjectPlugin,
    FilterMetadataPlugin,
    FilterReleasePlugin,
    FilterReleaseFilePlugin,
    BandersnatchConfig,
)


def _stand_ins() -> dict[str, ModuleType]:
    modules = {name: ModuleType(name) for name in ("bandersnatch", *_SUBMODULES)}
    for name, module in modules.items():
        module.__spec__ = ModuleSpec(name, None)
    package = modules["bandersnatch"]
    package.__path__ = []
    for name, members in _SUBMODULES.items():
        setattr(package, name.rpartition(".")[2], modules[name])
        for member in members:
            setattr(modules[name], member.__name__, member)
    return modules


_SUBMODULES: dict[str, tuple[type, ...]] = {
    "bandersnatch.filter": _FILTER,
    "bandersnatch.configuration": (BandersnatchConfig,),
}


def is_real() -> bool:
    """Say whether bandersnatch itself is installed beside us."""
    spec = importlib.util.find_spec("bandersnatch")
    # A directory that happens to be called bandersnatch is a namespace package, which has no origin.
    return spec is not None and spec.origin is not None


@contextmanager
def bandersnatch_modules() -> Iterator[None]:
    """Let `bandersnatch.filter` and `bandersnatch.configuration` be imported, whoever supplies them."""
    if is_real():
        yield
        return
    modules = _stand_ins()
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name in modules:
            sys.modules.pop(name, None)


def configure(context: Context) -> None:
    """Put our configuration where plugins look for it, in place of what is there; inside `bandersnatch_modules`."""
    configuration = importlib.import_module("bandersnatch.configuration").BandersnatchConfig()
    parser: ConfigParser = getattr(configuration, "config", configuration)
    ours = {
        section: {key: "\n".join(line.text for line in lines) for key, lines in keys.items()}
        for section, keys in context.sections.values.items()
    }
    ours["plugins"] = {"enabled": "\n".join(sorted(context.enabled))}
    if context.mirror:
        ours["mirror"] = dict(context.mirror)
    for section in parser.sections():
        if section != "mirror" or section in ours:  # the real one has defaults there
            parser.remove_section(section)
    parser.read_dict(
        # Our text is interpolated already.
        {
            section: {key: text.replace("%", "%%") for key, text in keys.items()}
            for section, keys in ours.items()
        }
    )
