"""The configuration file: what it may say, what is refused and how that is told."""

from __future__ import annotations

import configparser
import io
import os
import stat
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import hypothesis
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from frumious.config import (
    DefaultNotWritten,
    Line,
    Loaded,
    MinFree,
    MissingConfig,
    Place,
    Settings,
    SimpleFormat,
    default_config_text,
    default_master,
    load,
    parse_config,
    write_default_config,
)
from frumious.config.diff_file import diff_paths, is_taken
from frumious.config.ini import read_ini
from frumious.config.options import OPTIONS
from frumious.config.plugins import FREE_SECTIONS, PLUGINS
from frumious.errors import ConfigError

MASTER = "https://index.example.org"
BASE = f"[mirror]\ndirectory = /srv/pypi\nmaster = {MASTER}\n"


def bandersnatch_parser() -> configparser.ConfigParser:
    """Return a parser set up as bandersnatch sets up its own."""
    parser = configparser.ConfigParser(delimiters="=")
    parser.optionxform = str
    return parser


def read(more: str = "", base: str = BASE) -> Loaded:
    return parse_config(base + more, "m.conf")


def settings(more: str = "", base: str = BASE) -> Settings:
    return read(more, base).settings


def refused(more: str = "", base: str = BASE) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(more, base)
    return caught.value


# Values


def test_a_file_with_a_directory_alone_has_every_default():
    assert settings(base="[mirror]\ndirectory = /srv/pypi\n") == Settings(
        directory=Path("/srv/pypi"),
        catalog=Path("/srv/pypi/.frumious/catalog.sqlite3"),
        storage_filesystem_manage_permissions=True,
        json=False,
        release_files=True,
        core_metadata=True,
        provenance=True,
        simple_format=SimpleFormat.ALL,
        hash_index=False,
        root_uri=None,
        base_url=None,
        digest_name="sha256",
        keep_index_versions=0,
        master=default_master(),
        allow_non_https=False,
        download_mirror=None,
        download_mirror_no_fallback=False,
        proxy=None,
        timeout=10.0,
        global_timeout=1800.0,
        workers=3,
        streams=30,
        max_requests_per_second=None,
        max_bandwidth=None,
        stop_on_error=False,
        compare_method="hash",
        recheck_days=14,
        removal="follow",
        trash_days=30,
        removal_max_projects=100,
        removal_max_files=1000,
        removal_max_percent=5.0,
        cleanup=False,
        cleanup_todo=False,
        delete_missing_packages=False,
        verifiers=None,
        server_host="127.0.0.1",
        server_port=8080,
        server_socket_mode=0o660,
        server_base_url=None,
        server_workers=None,
        server_tls_certificate=None,
        server_tls_key=None,
        server_users=None,
        server_trusted_proxies=(),
        server_access_log="off",
        server_metrics="local",
        server_page_max_age=600,
        server_page_cache=32 << 20,
        server_shutdown_timeout=30,
        diff_file=None,
        diff_append_epoch=False,
        exit_codes="frumious",
        min_free=MinFree(),
        log_config=None,
        summary_file=None,
        run_after=(),
        plugins=(),
        filters={},
    )


def test_the_default_upstream_is_an_https_address_without_a_path():
    assert default_master().startswith("https://")
    assert default_master().count("/") == 2


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("workers = 10", "workers", 10),
        ("workers = 10", "streams", 100),
        ("workers = 1", "streams", 10),
        ("streams = 100", "streams", 100),
        ("streams =", "streams", 30),
        ("timeout = 2.5", "timeout", 2.5),
        ("global-timeout = 60", "global_timeout", 60.0),
        ("global-timeout = 0", "global_timeout", 18000.0),
        ("max-requests-per-second = 50", "max_requests_per_second", 50.0),
        ("max-requests-per-second = 0", "max_requests_per_second", 0.0),
        ("max-requests-per-second =", "max_requests_per_second", None),
        ("max-bandwidth = 10M", "max_bandwidth", 10 * 1024**2),
        ("max-bandwidth = 1.5 KiB", "max_bandwidth", 1536),
        ("max-bandwidth = 2gb", "max_bandwidth", 2 * 1024**3),
        ("max-bandwidth = 100 B", "max_bandwidth", 100),
        ("max-bandwidth = 0", "max_bandwidth", None),
        ("min-free = 5%%", "min_free", MinFree(percent=5.0)),
        ("min-free = 2T", "min_free", MinFree(bytes=2 * 1024**4)),
        ("json = Yes", "json", True),
        ("json = 1", "json", True),
        ("release-files = OFF\nroot_uri = https://f.example.org", "release_files", False),
        ("simple-format = json", "simple_format", SimpleFormat.JSON),
        ("simple-format = Html", "simple_format", SimpleFormat.HTML),
        ("hash-index = on", "hash_index", True),
        ("core-metadata = false", "core_metadata", False),
        ("provenance = false", "provenance", False),
        ("stop-on-error = true", "stop_on_error", True),
        ("allow-non-https = true", "allow_non_https", True),
        ("recheck-days = 30", "recheck_days", 30),
        ("root_uri = https://files.example.org/x", "root_uri", "https://files.example.org/x"),
        ("root_uri = /mirror", "root_uri", "/mirror"),
        ("root_uri =", "root_uri", None),
        (
            "download-mirror = https://near.example.org:8443",
            "download_mirror",
            "https://near.example.org:8443",
        ),
        ("proxy = socks5h://u:p%%40w@[::1]:1080", "proxy", "socks5h://u:p%40w@[::1]:1080"),
        ("proxy = http://proxy.example.org:3128/", "proxy", "http://proxy.example.org:3128"),
        ("proxy =", "proxy", None),
        ("log-config =", "log_config", None),
        ("summary-file = /srv/s.json", "summary_file", Path("/srv/s.json")),
        ("catalog = /var/lib/c.sqlite3", "catalog", Path("/var/lib/c.sqlite3")),
        ("run-after = purge --host 'a b' x", "run_after", ("purge", "--host", "a b", "x")),
        ("compare-method = stat", "compare_method", "stat"),
        ("digest_name = MD5", "digest_name", "md5"),
        ("digest_name = Sha512", "digest_name", "sha512"),
        ("keep_index_versions = 2", "keep_index_versions", 2),
        ("verifiers = 7", "verifiers", 7),
        ("cleanup = on", "cleanup", True),
        ("cleanup_todo = yes", "cleanup_todo", True),
        ("delete_missing_packages = yes", "delete_missing_packages", True),
        ("storage-filesystem-manage-permissions = no", "storage_filesystem_manage_permissions", False),
        ("removal = keep", "removal", "keep"),
        ("trash-days = 0", "trash_days", 0),
        ("removal-max-projects = 0", "removal_max_projects", 0),
        ("removal-max-files = 5", "removal_max_files", 5),
        ("removal-max-percent = 2.5", "removal_max_percent", 2.5),
        ("base-url = http://pypi.example.org/root", "base_url", "http://pypi.example.org/root"),
        ("exit-codes = bandersnatch", "exit_codes", "bandersnatch"),
        ("diff-file =", "diff_file", None),
        ("diff-file = /d/x", "diff_file", Path("/d/x")),
        ("diff-file = {{mirror_directory}}/x", "diff_file", Path("/srv/pypi/x")),
        ("diff-file = /d/{{ mirror_workers }}/{{mirror_json}}", "diff_file", Path("/d/3/false")),
        ("diff-file = /x\ndiff-append-epoch = on", "diff_append_epoch", True),
    ],
)
def test_a_good_value_arrives_without_a_warning(line, field, value):
    loaded = read(line)

    assert getattr(loaded.settings, field) == value
    assert loaded.warnings == ()


def test_a_relative_path_starts_at_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    found = settings(
        base="[mirror]\ndirectory = mirror\nmaster = https://a.example.org\nsummary-file = s.json\n"
    )

    assert found.directory == tmp_path / "mirror"
    assert found.catalog == tmp_path / "mirror/.frumious/catalog.sqlite3"
    assert found.summary_file == tmp_path / "s.json"


def test_a_share_of_the_disk_is_taken_of_its_size_and_rounded_up():
    assert MinFree(percent=5).of(1001) == 51
    assert MinFree(bytes=7).of(1000) == 7
    assert MinFree().of(1000) == 0


def test_a_log_configuration_that_is_there_is_taken(tmp_path):
    (tmp_path / "log.conf").touch()

    assert settings(f"log-config = {tmp_path}/log.conf").log_config == tmp_path / "log.conf"


# Lists


def test_a_list_has_one_item_a_line_and_each_knows_its_line():
    found = settings(
        "\n"
        "[plugins]\n"
        "enabled = allowlist_project\n"
        "    blocklist_project\n"
        "[allowlist]\n"
        "packages =\n"
        "    six\n"
        "# a comment at the margin\n"
        "    ; and one in the list\n"
        "\n"
        "    requests >= 2, < 3  # kept as it stands\n"
        "[blocklist]\n"
        "packages = attrs\n"
    )

    assert found.plugins == (Line("allowlist_project", 6), Line("blocklist_project", 7))
    assert found.filters["allowlist"]["packages"] == (
        Line("six", 10),
        Line("requests >= 2, < 3  # kept as it stands", 14),
    )
    assert found.filters["blocklist"]["packages"] == (Line("attrs", 16),)


def test_lines_are_counted_as_editors_count_them_whatever_ends_them():
    text = BASE + "[plugins]\nenabled =\n  allowlist_project\n[allowlist]\npackages =\n  six\n\n  attrs\n"

    for end in ("\r\n", "\r"):
        found = parse_config(text.replace("\n", end), "m.conf").settings
        assert found.filters["allowlist"]["packages"] == (Line("six", 9), Line("attrs", 11))


@pytest.mark.parametrize("text", ["six, attrs", "six,attrs", "Six , foo.bar,"])
def test_a_row_of_names_with_commas_is_refused_where_one_a_line_is_meant(text):
    error = refused(f"[plugins]\nenabled =\n  allowlist_project\n[allowlist]\npackages =\n  {text}\n")

    assert str(error).startswith("m.conf:9: [allowlist] packages: ")
    assert "commas" in error.problem
    assert "one item on each line" in error.hint


def test_every_bad_line_of_a_list_is_named():
    error = refused("[plugins]\nenabled =\n  allowlist_project\n  all\n  whitelist_release\n")

    assert "m.conf:7: [plugins] enabled: 'all' cannot be used" in str(error)
    assert "m.conf:8: [plugins] enabled: 'whitelist_release' cannot be used" in str(error)


@pytest.mark.parametrize(
    ("name", "problem", "hint"),
    [
        ("all", "drop every file nobody listed", "name the plugins"),
        ("blacklist_project", "another name", "did you mean `blocklist_project`?"),
        ("whitelist_release", "another name", "did you mean `allowlist_release`?"),
        ("allowlist_project, blocklist_project", "commas", "one item on each line"),
        ("allowlist_project blocklist_project", "blanks", "one item on each line"),
        ("allowlist_project # why", "a comment needs its own line", "one item on each line"),
        ("allowlist/project", "no plugin can have this name", None),
    ],
)
def test_a_name_that_no_plugin_can_have_stops_the_program(name, problem, hint):
    error = refused(f"[plugins]\nenabled = {name}\n[allowlist]\npackages = six\n")

    assert (error.section, error.key, error.line) == ("plugins", "enabled", 5)
    assert problem in error.problem
    assert error.hint is None if hint is None else hint in error.hint


def test_a_name_that_no_plugin_here_has_may_be_that_of_one_from_elsewhere():
    loaded = read("[plugins]\nenabled = allowlist_projects\n[updated]\nx = 1\n[allowlist]\npackages = six\n")

    assert loaded.settings.plugins == (Line("allowlist_projects", 5),)
    assert loaded.warnings == (
        "m.conf:6: [updated] unknown section, ignored unless allowlist_projects reads it",
        (
            "m.conf:9: [allowlist] packages: this list has no effect unless allowlist_projects reads it, since "
            "[plugins] enabled does not name allowlist_project or allowlist_release"
        ),
    )
    assert read("[plugins]\nenabled = mine\n[mine]\nx = 1\n").warnings == ()


LOUD = [
    (
        "[plugins]\nenabled = allowlist_project\n",
        "5: [plugins] enabled: allowlist_project finds nothing in [allowlist] packages: everything is allowed",
    ),
    (
        "[plugins]\nenabled =\n  blocklist_project\n[blocklist]\npackages =\n",
        "6: [plugins] enabled: blocklist_project finds nothing in [blocklist] packages: nothing is blocked",
    ),
    (
        "[plugins]\nenabled =\n  allowlist_release\n[allowlist]\n",
        (
            "6: [plugins] enabled: allowlist_release finds nothing in [allowlist] packages: every release of every "
            "project is dropped"
        ),
    ),
    (
        "[plugins]\nenabled = blocklist_release\n",
        "5: [plugins] enabled: blocklist_release finds nothing in [blocklist] packages: nothing is blocked",
    ),
    (
        "[plugins]\nenabled =\n  regex_project\n",
        "6: [plugins] enabled: regex_project finds nothing in [filter_regex] packages: nothing is dropped",
    ),
    (
        "[plugins]\nenabled = regex_release\n",
        "5: [plugins] enabled: regex_release finds nothing in [filter_regex] releases: nothing is dropped",
    ),
    (
        "[plugins]\nenabled = regex_project_metadata\n[regex_project_metadata]\nsearch = true\n",
        "5: [plugins] enabled: regex_project_metadata finds nothing in [regex_project_metadata]: every project is kept",
    ),
    (
        "[plugins]\nenabled = version_range_release_file_metadata\n",
        (
            "5: [plugins] enabled: version_range_release_file_metadata finds nothing in "
            "[version_range_release_file_metadata]: every file is kept"
        ),
    ),
    (
        "[plugins]\nenabled = regex_project_metadata\n[regex_project_metadata]\nnot-null:info.license =\n",
        "7: [regex_project_metadata] not-null:info.license: nothing is listed here, so nothing passes",
    ),
    (
        "[plugins]\nenabled = regex_project_metadata\n[regex_project_metadata]\nall:info.license =\n",
        "7: [regex_project_metadata] all:info.license: nothing is listed here, so everything passes",
    ),
    (
        (
            "[plugins]\nenabled = version_range_project_metadata\n[version_range_project_metadata]\n"
            "info.requires_python =\n"
        ),
        (
            "7: [version_range_project_metadata] info.requires_python: nothing is listed here, so nothing passes that says "
            "anything"
        ),
    ),
    (
        "[plugins]\nenabled = latest_release\n[latest_release]\nkeep = 0\nsort_by = time\n",
        "7: [latest_release] keep: latest_release has no limit, and does nothing",
    ),
    (
        "[plugins]\nenabled = size_project_metadata\n[size_project_metadata]\nmax_package_size = 0 GB\n",
        "7: [size_project_metadata] max_package_size: size_project_metadata has no limit, and does nothing",
    ),
    (
        "[plugins]\nenabled = versions_count_project_metadata\n[versions_count_project_metadata]\nmin_versions = 0\n",
        (
            "7: [versions_count_project_metadata] min_versions: versions_count_project_metadata has no limit, and does "
            "nothing"
        ),
    ),
    (
        "[allowlist]\npackages =\n  six\n",
        (
            "6: [allowlist] packages: this list has no effect, since [plugins] enabled does not name allowlist_project or "
            "allowlist_release"
        ),
    ),
    (
        "[blocklist]\nplatforms = windows\n",
        "5: [blocklist] platforms: this list has no effect, since [plugins] enabled does not name exclude_platform",
    ),
    (
        "[latest_release]\nkeep = 3\n",
        "5: [latest_release] keep: this key has no effect, since [plugins] enabled does not name latest_release",
    ),
    (
        "[latest_release]\nkeep = 3\nsort_by = time\n",
        "4: [latest_release] this section has no effect, since [plugins] enabled does not name latest_release",
    ),
    (
        "[regex_project_metadata]\ninfo.license = MIT\n",
        (
            "4: [regex_project_metadata] this section has no effect, since [plugins] enabled does not name "
            "regex_project_metadata"
        ),
    ),
    (
        "[plugins]\nenabled = regex_release\n[filter_regex]\npackages = x\nreleases = y\n",
        "7: [filter_regex] packages: this list has no effect, since [plugins] enabled does not name regex_project",
    ),
    (
        "[plugins]\nenabled = blocklist_project\n[blocklist]\npackages =\n  a\n  b>1 # old\n  c # bare\n",
        (
            "9: [blocklist] packages: b>1 has no effect: a line with more than a name is for blocklist_release, which "
            "[plugins] enabled does not name"
        ),
    ),
]


@pytest.mark.parametrize(("more", "warning"), LOUD)
def test_a_filter_and_its_settings_miss_each_other_loudly(more, warning):
    assert read(more).warnings == (f"m.conf:{warning}",)


QUIET = [
    "[plugins]\nenabled = allowlist_release\n[allowlist]\npackages = six\n",
    "[plugins]\nenabled = prerelease_release\n",
    "[plugins]\nenabled = latest_release\n[latest_release]\nkeep = 1\n",
    "[plugins]\nenabled = regex_project_metadata\n[regex_project_metadata]\ninfo.license = MIT\nsearch = yes\n",
    (
        "[plugins]\nenabled = size_project_metadata\n[size_project_metadata]\nmax_package_size = 1G\n[allowlist]\n"
        "packages = torch\n"
    ),
    (
        "[plugins]\nenabled = versions_count_project_metadata\n[versions_count_project_metadata]\nmin_versions = 0\n"
        "max_versions = 5\n"
    ),
    "[plugins]\nenabled =\n  blocklist_project\n  blocklist_release\n[blocklist]\npackages = a>1\n",
    "[allowlist]\n[blocklist]\npackages =\n[filter_regex]\n",
]


@pytest.mark.parametrize("more", QUIET)
def test_filters_that_have_what_they_need_give_no_warning(more):
    assert read(more).warnings == ()


def test_a_percent_sign_among_the_paths_of_a_filter_is_refused_and_elsewhere_nobodys_business():
    error = refused("[regex_project_metadata]\ninfo.summary = 100%\n")

    assert (error.section, error.key, error.line) == ("regex_project_metadata", "info.summary", 5)
    assert error.hint == "write %% for a percent sign"
    assert "x" not in settings("[statistics]\nx = 100%\n").filters.get("statistics", {})


def test_the_mirror_section_is_there_as_text_for_plugins_from_elsewhere():
    loaded = read("own = %(workers)s%%\nbad = 5%\n")

    assert loaded.mirror["own"] == "3%"
    assert loaded.mirror["timeout"] == "10"
    assert "bad" not in loaded.mirror


def test_every_key_that_a_plugin_reads_is_an_option_and_the_other_way_round():
    of_filters = {(option.section, option.key) for option in OPTIONS if option.is_filter}
    read_by_plugins = {where for plugin in PLUGINS.values() for where in (*plugin.reads, *plugin.heeds)}

    assert {where for where in of_filters if where[0] not in FREE_SECTIONS} == {
        where for where in read_by_plugins if where[1] is not None
    }
    assert {section for section, key in read_by_plugins if key is None} == FREE_SECTIONS
    assert {where for plugin in PLUGINS.values() for where in plugin.limits} <= read_by_plugins


# Wrong values

WRONG = [
    ("workers", "11", "1 to 10"),
    ("workers", "0", "1 to 10"),
    ("workers", "three", "1 to 10"),
    ("workers", "", "1 to 10"),
    ("workers", "9" * 5000, "1 to 10"),
    ("streams", "101", "1 to 100"),
    ("streams", "0", "1 to 100"),
    ("timeout", "0", "more than 0"),
    ("timeout", "-1", "more than 0"),
    ("timeout", "nan", "more than 0"),
    ("timeout", "inf", "more than 0"),
    ("timeout", "10s", "more than 0"),
    ("global-timeout", "-1", "seconds"),
    ("global-timeout", "1e999", "seconds"),
    ("max-requests-per-second", "-5", "0 is no limit"),
    ("max-requests-per-second", "many", "0 is no limit"),
    ("max-bandwidth", "fast", "K, M, G"),
    ("max-bandwidth", "-1M", "K, M, G"),
    ("max-bandwidth", "10 iB", "K, M, G"),
    ("max-bandwidth", "\u0661M", "K, M, G"),
    ("min-free", "100%%", "5%%"),
    ("min-free", "", "5%%"),
    ("recheck-days", "0", "1 to 3650"),
    ("recheck-days", "1.5", "1 to 3650"),
    ("json", "maybe", "true or false"),
    ("json", "", "true or false"),
    ("release-files", "2", "true or false"),
    ("core-metadata", "ja", "true or false"),
    ("provenance", "oui", "true or false"),
    ("hash-index", "y", "true or false"),
    ("stop-on-error", "never", "true or false"),
    ("allow-non-https", "si", "true or false"),
    ("download-mirror-no-fallback", "x", "true or false"),
    ("simple-format", "XML", "ALL, HTML or JSON"),
    ("simple-format", "", "ALL, HTML or JSON"),
    ("download-mirror", "near.example.org", "https://"),
    ("download-mirror", "http://near.example.org", "allow-non-https"),
    ("download-mirror", "ftp://near.example.org", "https://"),
    ("proxy", "socks4://p.example.org", "socks5://"),
    ("proxy", "proxy.example.org:3128", "socks5://"),
    ("proxy", "http://p.example.org/path", "socks5://"),
    ("proxy", "http://p.example.org:99999", "socks5://"),
    ("root_uri", "files.example.org", "https://"),
    ("root_uri", "//files.example.org", "https://"),
    ("root_uri", "/", "https://"),
    ("log-config", "/nonexistent/log.conf", "a path of a file that is there"),
    ("log-config", "/", "a path of a file that is there"),
    ("log-config", "x" * 5000, "a path of a file that is there"),
    ("catalog", "postgresql://db.example.org/x", "SQLite"),
    ("summary-file", "/a\0b", "a path"),
    ("run-after", "purge 'x", "a command"),
    ("storage-backend", "s3", "filesystem"),
    ("compare-method", "HASH", "`hash` or `stat`"),
    ("digest_name", "blake2b_256", "sha256"),
    ("digest_name", "sha1", "sha256"),
    ("digest_name", "shake_128", "sha256"),
    ("keep_index_versions", "-1", "0 keeps none"),
    ("base-url", "pypi.example.org", "https://"),
    ("removal", "Follow", "`follow` or `keep`"),
    ("trash-days", "3651", "0 to 3650"),
    ("removal-max-projects", "-1", "0 or more"),
    ("removal-max-files", "some", "0 or more"),
    ("removal-max-percent", "101", "0 to 100"),
    ("removal-max-percent", "5%%", "without a percent sign"),
    ("exit-codes", "both", "`frumious` or `bandersnatch`"),
    ("diff-file", "/a\0b", "a path"),
    ("diff-append-epoch", "epoch", "true or false"),
    ("cleanup", "x", "true or false"),
    ("cleanup_todo", "x", "true or false"),
    ("delete_missing_packages", "x", "true or false"),
    ("verifiers", "0", "1 or more"),
    ("storage-filesystem-manage-permissions", "0644", "true or false"),
]


@pytest.mark.parametrize(("key", "value", "allowed"), WRONG)
def test_a_wrong_value_names_file_line_section_key_and_what_is_allowed(key, value, allowed):
    error = refused(f"\n{key} = {value}\n")

    assert str(error).startswith(f"m.conf:5: [mirror] {key}: ")
    assert allowed in str(error).partition("; allowed: ")[2]
    assert (error.file, error.section, error.key, error.line) == ("m.conf", "mirror", key, 5)
    assert error.exit_code == 2


def test_every_option_whose_text_is_not_free_has_a_wrong_value_above():
    free = {
        "directory",
        "master",
        "enabled",
        "packages",
        "requirements",
        "requirements_path",
        "platforms",
    }

    ours = [option for option in OPTIONS if not option.is_filter]
    assert {option.key for option in ours if option.section != "server"} - free == {
        key for key, _, _ in WRONG
    }
    assert {option.key for option in ours if option.section == "server"} == {
        key for key, _, _ in SERVER_WRONG
    }


SERVER_WRONG = [
    ("host", "http://127.0.0.1", "an address"),
    ("host", "unix:run/frumious.sock", "the path of a socket"),
    ("host", "unix:/" + "x" * 107, "the path of a socket"),
    ("port", "65536", "0 to 65535"),
    ("socket-mode", "666x", "0660"),
    ("socket-mode", "rw-rw----", "0660"),
    ("base-url", "pypi.example.org", "http:// or https://"),
    ("workers", "0", "1 to 256"),
    ("tls-certificate", "/a\0b", "a path"),
    ("tls-key", "/a\0b", "a path"),
    ("users", "/a\0b", "a path"),
    ("trusted-proxies", "127.0.0.1, nonsense", "addresses or networks"),
    ("access-log", "/a\0b", "`off`, `stderr`"),
    ("metrics", "nobody", "`local` or `everybody`"),
    ("page-max-age", "-1", "0 to 86400"),
    ("page-cache", "much", "bytes"),
    ("shutdown-timeout", "0", "1 to 3600"),
]


@pytest.mark.parametrize(("key", "value", "allowed"), SERVER_WRONG)
def test_a_wrong_value_of_the_server_is_named_the_same_way(key, value, allowed):
    error = refused(f"\n[server]\n{key} = {value}\n")

    assert str(error).startswith(f"m.conf:6: [server] {key}: ")
    assert allowed in str(error).partition("; allowed: ")[2]


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("host = [::1]", "server_host", "::1"),
        ("host = unix:/run/frumious/serve.sock", "server_host", "unix:/run/frumious/serve.sock"),
        ("socket-mode = 666", "server_socket_mode", 0o666),
        ("port = 0", "server_port", 0),
        ("base-url = https://example.org/mirror/", "server_base_url", "https://example.org/mirror"),
        ("workers = 3", "server_workers", 3),
        ("users = /etc/users", "server_users", Path("/etc/users")),
        (
            "trusted-proxies = 127.0.0.1, 192.0.2.9/24",
            "server_trusted_proxies",
            ("127.0.0.1/32", "192.0.2.0/24"),
        ),
        ("access-log = stderr", "server_access_log", "stderr"),
        ("access-log = /var/log/f", "server_access_log", Path("/var/log/f")),
        ("metrics = everybody", "server_metrics", "everybody"),
        ("page-cache = 1M", "server_page_cache", 1 << 20),
    ],
)
def test_settings_of_the_server(line, field, value):
    assert getattr(settings(f"\n[server]\n{line}\n"), field) == value


@pytest.mark.parametrize("key", ["tls-certificate", "tls-key"])
def test_a_certificate_and_its_key_go_together(key):
    assert f"[server] {key}" in str(refused(f"\n[server]\n{key} = /x.pem\n"))


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("http://index.example.org", "not encrypted"),
        ("HTTP://index.example.org", "not encrypted"),
        ("ftp://index.example.org", "allowed: an https:// address"),
        ("index.example.org", "allowed: an https:// address"),
        ("https://", "no host"),
        ("https://[::1", "allowed: an https:// address"),
        ("https://index.example.org:port", "allowed: an https:// address"),
        ("https://index.example.org?x=1", "no query"),
        ("https://index.example.org/#", "no query"),
        ("https://index.example.org ; PyPI", "blanks"),
        ("", "allowed: an https:// address"),
    ],
)
def test_an_upstream_that_cannot_be_one_is_refused(value, problem):
    error = refused(base=f"[mirror]\ndirectory = /srv/pypi\nmaster = {value}\n")

    assert (error.key, error.line) == ("master", 3)
    assert problem in str(error)


def test_plain_http_is_allowed_when_the_file_says_so():
    found = settings(
        "allow-non-https = true\ndownload-mirror = http://near.example.org\n",
        base="[mirror]\ndirectory = /d\nmaster = http://127.0.0.1:8080\n",
    )

    assert found.master == "http://127.0.0.1:8080"
    assert found.download_mirror == "http://near.example.org"


def test_a_password_never_stands_in_a_message():
    for line in ("proxy = ftp://me:secret@p.example.org", "proxy ftp://me:secret/x@p.example.org"):
        assert "secret" not in str(refused(line + "\n"))
    assert "secret" not in str(refused(base="proxy = http://me:secret@p.example.org\n"))


def test_a_directory_is_required():
    for base in ("", "[mirror]\n", "[plugins]\n"):
        error = refused(base=base)
        assert str(error) == "m.conf: [mirror] directory: this key is required"
        assert "directory = /srv/pypi" in error.hint
    assert refused(base="[mirror]\ndirectory =\n").line == 2


def test_all_wrong_settings_are_told_at_once_in_the_order_of_the_file():
    error = refused("workers = 11\njson = maybe\n[plugins]\nenabled = all\n", base="[mirror]\n")

    first, *lines = str(error).split("\n")
    assert first == "m.conf: 4 settings cannot be used:"
    assert [line.split(":")[1] for line in lines] == [" [mirror] directory", "2", "3", "5"]
    assert "(name the plugins you mean, one on each line)" in lines[3]


def test_a_value_that_swallows_the_next_key_is_explained():
    error = refused(base="[mirror]\ndirectory = /srv/pypi\n  workers = 5\n")

    assert (error.line, error.key) == (2, "directory")
    assert "more than one line" in error.problem
    assert error.hint == "line 3 is indented, which makes it part of this value"


def test_a_comment_behind_a_value_is_explained():
    error = refused("workers = 3 # three\n")

    assert "'3 # three' cannot be used" in error.problem
    assert error.hint == "a comment needs its own line"


# The dialect


def test_names_of_keys_are_case_sensitive():
    loaded = read("Workers = 5\n")

    assert loaded.settings.workers == 3
    assert loaded.warnings == ("m.conf:4: [mirror] Workers: unknown key, ignored; did you mean `workers`?",)


def test_only_an_equals_sign_separates():
    error = refused("workers: 5\n")

    assert error.line == 4
    assert "only `=`" in error.hint
    assert settings("[plugins]\n[regex_project_metadata]\nany:info.x =\n  a:b\n").workers == 3


def test_all_lines_that_are_neither_are_counted():
    error = refused("one\ntwo\nworkers = 3\nthree\n")

    assert (error.line, error.problem) == (4, "neither `[section]` nor `key = value` (and 2 more such lines)")


def test_a_key_in_the_default_section_counts_where_bandersnatch_finds_it():
    loaded = read(base=f"[DEFAULT]\ndirectory = /srv/pypi\nstreams = 7\n[mirror]\nmaster = {MASTER}\n")

    assert loaded.settings.directory == Path("/srv/pypi")
    assert loaded.settings.streams == 7
    assert loaded.warnings == ()


def test_a_key_in_the_default_section_is_hidden_by_bandersnatchs_own_default_and_that_is_said():
    loaded = read(base=f"[DEFAULT]\nworkers = 5\n[mirror]\ndirectory = /d\nmaster = {MASTER}\n")

    assert loaded.settings.workers == 3
    assert loaded.warnings == (
        (
            "m.conf:2: [DEFAULT] workers: has no effect here, since bandersnatch's own default goes before it; "
            "write it under [mirror]"
        ),
    )


def test_a_list_in_the_default_section_has_its_own_lines():
    loaded = read(
        "[plugins]\nenabled = allowlist_project\n[allowlist]\n",
        base=f"[DEFAULT]\npackages =\n  six\n[mirror]\ndirectory = /d\nmaster = {MASTER}\n",
    )

    assert loaded.settings.filters["allowlist"]["packages"] == (Line("six", 3),)
    assert "packages" not in loaded.settings.filters.get("blocklist", {})


def test_percent_signs_refer_to_other_keys():
    found = settings("base = /var/x%%y\nsummary-file = %(base)s/%(workers)s.json\n")

    assert found.summary_file == Path("/var/x%y/3.json")


def test_a_reference_may_name_a_key_of_the_default_section():
    loaded = read(base=f"[DEFAULT]\nroot = /data\n[mirror]\ndirectory = %(root)s/pypi\nmaster = {MASTER}\n")

    assert loaded.settings.directory == Path("/data/pypi")
    assert loaded.warnings == ()


def test_a_reference_may_name_the_upstream_that_nobody_set():
    found = settings(base="[mirror]\ndirectory = /d\ndownload-mirror = %(master)s/x\n")

    assert found.download_mirror == default_master() + "/x"


def test_a_list_may_come_by_reference_and_stands_where_it_is_named():
    found = settings(
        "[DEFAULT]\nours =\n  six\n  attrs\n"
        "[plugins]\nenabled = allowlist_project\n[allowlist]\npackages = %(ours)s\n"
    )

    assert found.filters["allowlist"]["packages"] == (Line("six", 11), Line("attrs", 11))


@pytest.mark.parametrize(
    ("line", "problem", "hint"),
    [
        ("run-after = purge 100%", "a bare % cannot be used", "write %% for a percent sign"),
        ("proxy = http://me:p%40w@p.example.org", "a bare % cannot be used", "write %% for a percent sign"),
        ("summary-file = %(base)s/x", "%(base)s names a key that is not there", None),
        ("summary-file = %(summary-file)s", "goes too deep", None),
        ("summary-file = %(a\n  b)s", "%(a b)s names a key that is not there", None),
    ],
)
def test_a_percent_sign_that_cannot_be_read_is_refused(line, problem, hint):
    error = refused(line + "\n")

    assert (error.line, error.key, error.hint) == (4, line.split()[0], hint)
    assert problem in error.problem


def test_a_section_or_key_that_is_there_twice_is_refused():
    section = refused("[mirror]\n")
    key = refused("workers = 3\nworkers = 4\n")

    assert (section.line, section.section, section.key) == (4, "mirror", None)
    assert (key.line, key.section, key.key) == (5, "mirror", "workers")


def test_a_setting_before_any_section_is_refused():
    assert "before any [section]" in str(refused(base="directory = /srv/pypi\n"))


def test_a_comment_line_may_begin_with_either_sign_and_be_indented():
    assert settings("# one\n; two\n   # three\nworkers = 4\n").workers == 4


# What is said although it can be used


@pytest.mark.parametrize(
    ("more", "warning"),
    [
        ("keep-index-versions = 3", "[mirror] keep-index-versions: unknown key, ignored; did you mean `keep_index_versions`?"),
        ("time-out = 3", "[mirror] time-out: unknown key, ignored; did you mean `timeout`?"),
        ("zzzzzz = 3", "[mirror] zzzzzz: unknown key, ignored"),
        ("packages = six", "[mirror] packages: unknown key here, ignored; it belongs in [allowlist] or [blocklist] or [filter_regex] or [filter_prerelease] or [latest_per_line]"),
        ("enabled = x", "[mirror] enabled: unknown key here, ignored; it belongs in [plugins]"),
        ("api-method = simple", "[mirror] api-method: ignored: bandersnatch dropped this key in 8.0"),
        ("delete-packages = true", "[mirror] delete-packages: ignored: bandersnatch dropped this key in 3.0"),
        ("[blacklist]\npackages = x", "[blacklist] unknown section, ignored; did you mean [blocklist]?"),
        ("[statistics]", "[statistics] unknown section, ignored"),
        ("[s3]\nanything = x", "[s3] accepted, has no effect yet"),
        ("digest_name = sha3_256", "[mirror] digest_name: uv refuses HTML pages with this digest, and pip does not check it"),
        ("digest_name = BLAKE2b", "[mirror] digest_name: pip does not check this digest"),
        ("base-url = https://x.example.org/", "[mirror] base-url: the final slash is dropped (bandersnatch would keep it)"),
        ("diff-append-epoch = true", "[mirror] diff-append-epoch: without `diff-file` this has no effect"),
        ("delete_missing_packages = true\nremoval = keep", "[mirror] delete_missing_packages: with `removal = keep` this has no effect"),
        ("root_uri = https://x.example.org/", "[mirror] root_uri: the final slash is dropped (bandersnatch would keep it)"),
        ("download-mirror = https://x.example.org/", "[mirror] download-mirror: the final slash is dropped (bandersnatch would keep it)"),
        ("download-mirror-no-fallback = true", "[mirror] download-mirror-no-fallback: without `download-mirror` this has no effect"),
        ("release-files = false", "[mirror] release-files: without `root_uri` the pages link to the addresses on upstream's pages"),
        ("summary-file = ~/s.json", "[mirror] summary-file: `~` is not expanded: this is a directory of that name"),
        ("summary-file = /s.json # here", "[mirror] summary-file: a comment needs its own line: this one is part of the path"),
    ],
)  # fmt: skip
def test_what_may_surprise_is_said_once_with_its_line(more, warning):
    assert read(more + "\n").warnings == (f"m.conf:4: {warning}",)


@pytest.mark.parametrize(
    "line",
    [
        "compare-method = hash",
        "digest_name = SHA256",
        "keep_index_versions = 0",
        "diff-file =",
        "diff-append-epoch = no",
        "cleanup = 0",
        "cleanup_todo = false",
        "delete_missing_packages = false",
        "storage-filesystem-manage-permissions = yes",
        "storage-backend = filesystem",
    ],
)
def test_a_key_without_effect_that_asks_for_what_happens_anyway_needs_no_word(line):
    assert read(line + "\n").warnings == ()


def test_a_final_slash_of_the_upstream_is_dropped_and_said():
    loaded = read(base=f"[mirror]\ndirectory = /d\nmaster = {MASTER}/\n")

    assert loaded.settings.master == MASTER
    assert loaded.warnings == (
        "m.conf:3: [mirror] master: the final slash is dropped (bandersnatch would keep it)",
    )


def test_an_upstream_that_ends_in_simple_is_used_but_doubted():
    loaded = read(base=f"[mirror]\ndirectory = /d\nmaster = {MASTER}/simple\n")

    assert loaded.settings.master == f"{MASTER}/simple"
    assert "ends in /simple" in loaded.warnings[0]


def test_warnings_come_in_the_order_of_the_file():
    loaded = read("zzzzzz = 1\ndigest_name = blake2s\nyyyyyy = 2\n[s3]\n")

    assert [warning.split(":")[1] for warning in loaded.warnings] == ["4", "5", "6", "7"]


def test_the_place_of_each_key_in_the_file_is_known():
    loaded = read("\n; x\nworkers = 4\n[plugins]\nenabled =\n")

    assert loaded.places == {
        ("mirror", "directory"): Place("m.conf", 2),
        ("mirror", "master"): Place("m.conf", 3),
        ("mirror", "workers"): Place("m.conf", 6),
        ("plugins", "enabled"): Place("m.conf", 8),
    }


def test_a_key_in_the_default_section_has_its_place_where_it_counts():
    loaded = read(base=f"[DEFAULT]\ndirectory = /d\nworkers = 5\n[mirror]\nmaster = {MASTER}\n")

    assert loaded.places[("mirror", "directory")] == Place("m.conf", 2)
    assert ("mirror", "workers") not in loaded.places


# References to other keys, in diff-file alone


def test_every_reference_is_expanded_not_only_the_last():
    loaded = read(
        "diff-file = {{ mirror_directory }}/{{my part_a_b}}/{{mirror_workers}}-{{DEFAULT_site}}\n"
        "[my part]\na_b = x\n[DEFAULT]\nsite = y\n"
    )

    assert loaded.settings.diff_file == Path("/srv/pypi/x/3-y")


def test_what_a_reference_stands_for_is_not_expanded_again():
    text = "[mirror]\ndirectory = /srv/{{mirror_directory}}\nmaster = https://a.example.org\n"
    loaded = parse_config(text + "diff-file = {{mirror_directory}}/x\n", "m.conf")

    assert loaded.settings.diff_file == Path("/srv/{{mirror_directory}}/x")


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("{{mirror_nothing}}", "names a key that is not there: nothing in [mirror]"),
        ("{{nowhere_directory}}", "names a key that is not there: directory in [nowhere]"),
        ("{{mirror_proxy}}", "names a key that is not there: proxy in [mirror]"),
        ("{{directory}}", "is not of the form {{SECTION_OPTION}}"),
        ("{{m_directory}}", "is not of the form {{SECTION_OPTION}}"),
        ("{{ }}", "is not of the form {{SECTION_OPTION}}"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused_and_named(reference, reason):
    error = refused(f"diff-file = {{{{mirror_directory}}}}/{reference}\n")

    assert str(error) == f"m.conf:4: [mirror] diff-file: {reference} {reason}"
    assert "{{mirror_directory}}" in error.hint


@pytest.mark.parametrize("reference", ["{{mirror_directory}}", "%(directory)s"])
def test_a_reference_to_a_value_of_several_lines_is_refused_like_that_value(reference):
    error = refused(f"diff-file = {reference}/x\n", base="[mirror]\ndirectory = /a\n  b\n")

    first, directory, diff_file = str(error).split("\n")
    assert first == "m.conf: 2 settings cannot be used:"
    assert "line 3 is indented" in directory
    assert diff_file.startswith("m.conf:4: [mirror] diff-file: ")


def test_a_reference_over_several_lines_is_told_in_one():
    error = refused("diff-file = {{mirror_no\n  thing}}\n")

    assert (
        str(error)
        == "m.conf:4: [mirror] diff-file: {{mirror_no thing}} is not of the form {{SECTION_OPTION}}"
    )


def test_a_reference_to_a_value_that_cannot_be_read_is_refused():
    error = refused("diff-file = {{mirror_run-after}}\nrun-after = %(x)s\n")

    assert "names a key that is not there" in str(error)


def diff(more: str, started: int = 1_700_000_000) -> tuple[Path, Path] | None:
    return diff_paths(settings(more), started)


def test_where_a_run_lists_what_it_changed(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "dated-1700000000").mkdir()

    assert diff("") is None
    assert diff("diff-file = /d/x\n") == (Path("/d/x"), Path("/d/x.deleted"))
    assert diff(f"diff-file = {tmp_path}/folder\n")[0] == tmp_path / "folder/mirrored-files"
    epoch = "diff-append-epoch = true\n"
    assert diff(f"diff-file = /d/x\n{epoch}")[1] == Path("/d/x-1700000000.deleted")
    assert diff(f"diff-file = {tmp_path}/folder\n{epoch}")[0] == tmp_path / "folder-1700000000"
    assert diff(f"diff-file = {tmp_path}/dated\n{epoch}")[0] == tmp_path / "dated-1700000000/mirrored-files"


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("", True), ("status", True), ("todo", True), (".lock", True), (".frumious/x", True), ("web", True),
        ("web/simple", True), ("web/packages/aa/bb", True), ("web/last-modified", True), ("elsewhere/../status", True),
        ("mirrored-files", False), ("web/mirrored-files", False), ("../x", False), ("lists/status", False),
        ("catalog.db", True),
    ],
)  # fmt: skip
def test_a_list_must_not_replace_what_is_the_mirrors(path, taken):
    found = settings("catalog = /srv/pypi/catalog.db\n")

    assert is_taken(found.directory / path, found) is taken


# The file itself


def test_a_file_that_is_not_there_has_its_own_error(tmp_path):
    path = tmp_path / "no.conf"

    with pytest.raises(MissingConfig) as caught:
        load(path)

    assert caught.value.path == path
    assert str(caught.value) == f"{path}: there is no such configuration file"


def test_what_cannot_be_read_is_an_error_and_no_missing_file(tmp_path):
    for path in (tmp_path, tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with pytest.raises(ConfigError, match="cannot be read") as caught:
            load(path)
        assert not isinstance(caught.value, MissingConfig)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission_is_an_error(tmp_path):
    path = tmp_path / "m.conf"
    path.write_text(BASE)
    path.chmod(0)

    with pytest.raises(ConfigError, match="Permission denied"):
        load(path)


def test_a_byte_order_mark_is_tolerated(tmp_path):
    path = tmp_path / "m.conf"
    path.write_bytes(b"\xef\xbb\xbf" + BASE.encode().replace(b"/srv/pypi", "/srv/gespür".encode()))

    assert load(path).settings.directory == Path("/srv/gespür")


def test_bytes_that_are_not_utf_8_are_refused_with_their_line(tmp_path):
    path = tmp_path / "m.conf"
    path.write_bytes(BASE.encode() + b"# gesp\xfcr\n")

    with pytest.raises(ConfigError) as caught:
        load(path)

    assert str(caught.value) == f"{path}:4: byte 0xfc is not UTF-8"


# The default file


@pytest.mark.parametrize("master", [MASTER, "https://me:p%40w@index.example.org/root"])
def test_the_default_file_reads_back_without_a_warning(master):
    loaded = parse_config(default_config_text(master), "m.conf")

    assert loaded.warnings == ()
    assert loaded.settings == parse_config(
        f"[mirror]\ndirectory = /srv/pypi\nmaster = {master.replace('%', '%%')}\n", "m.conf"
    ).settings  # fmt: skip


def test_the_default_file_is_one_that_bandersnatch_reads():
    parser = bandersnatch_parser()
    parser.read_string(default_config_text(MASTER))

    assert dict(parser["mirror"]) == {
        "directory": "/srv/pypi",
        "master": MASTER,
        "timeout": "10",
        "global-timeout": "1800",
        "json": "false",
        "release-files": "true",
        "core-metadata": "true",
        "simple-format": "ALL",
        "hash-index": "false",
        "workers": "3",
        "stop-on-error": "false",
    }
    assert not parser["plugins"]


def test_every_line_that_is_switched_off_in_the_default_file_can_be_switched_on(tmp_path):
    (tmp_path / "log.conf").touch()
    lines = [line.removeprefix(";") for line in default_config_text(MASTER).splitlines()]
    text = "\n".join(lines).replace("/etc/bandersnatch-log.conf", str(tmp_path / "log.conf"))

    loaded = parse_config(text, "m.conf")

    assert loaded.warnings == ()
    assert [item.text for item in loaded.settings.filters["allowlist"]["packages"]] == ["six", "requests"]
    assert loaded.settings.max_bandwidth == 10 * 1024**2


def test_the_default_file_is_written_whole_and_alone(tmp_path):
    path = tmp_path / "bandersnatch.conf"

    write_default_config(path)

    assert path.read_text() == default_config_text(default_master())
    assert list(tmp_path.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) & 0o133 == 0
    assert path.stat().st_nlink == 1


@pytest.mark.parametrize("kind", ["file", "directory", "dangling link"])
def test_the_default_file_replaces_nothing(tmp_path, kind):
    path = tmp_path / "m.conf"
    if kind == "file":
        path.write_text("mine")
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("nowhere")

    with pytest.raises(DefaultNotWritten, match="something is there already") as caught:
        write_default_config(path)

    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == [path]
    assert kind != "file" or path.read_text() == "mine"


def test_no_directory_is_created_for_the_default_file(tmp_path):
    with pytest.raises(DefaultNotWritten, match="No such file or directory"):
        write_default_config(tmp_path / "no" / "m.conf")

    assert list(tmp_path.iterdir()) == []


def test_a_path_that_can_hold_no_file_is_an_error_of_ours(tmp_path):
    for path in (Path("/"), tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with pytest.raises(DefaultNotWritten):
            write_default_config(path)

    assert list(tmp_path.iterdir()) == []


# The table


def test_every_setting_comes_from_one_option():
    names = [option.name for option in OPTIONS if not option.is_filter]

    settings = {field.name for field in fields(Settings)} - {"filters"}
    assert sorted({*names} - {"storage_backend"}) == sorted(settings)
    assert len(names) == len({*names})


def test_every_default_is_a_value_that_its_option_reads():
    for option in OPTIONS:
        if text := option.default_text():
            option.read(text)


def test_reading_configuration_needs_no_heavy_import():
    heavy = {"msgspec", "rich", "packaging", "pypi_simple", "requests", "asyncio", "apsw", "pyreqwest"}
    code = f"import frumious.config, sys; print(sorted({heavy!r} & sys.modules.keys()))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


# Any text

_TOKENS = st.sampled_from(
    [
        "[mirror]", "[DEFAULT]", "[plugins]", "[allowlist]", "[", "]", "=", " = ", "\n", "\n  ", "\n\t", "\r", ";", "#",
        "%", "%%", "%(workers)s", "%(directory)s", "directory", "master", "workers", "proxy", "enabled", "packages",
        "run-after", "min-free", "max-bandwidth", "log-config", "root_uri", "https://a.example.org", "http://[", "11",
        "allowlist_project", "all", "'", "\0", "\x1c", "\x85", "\u2028", "/", "~", "é",
    ]
)  # fmt: skip
_TEXTS = st.lists(_TOKENS | st.text(max_size=5), max_size=40).map("".join)
_FILES = st.one_of(_TEXTS, _TEXTS.map(lambda text: BASE + text), st.text())


@hypothesis.settings(deadline=None)  # the first file without `master` imports for half a second
@given(_FILES)
@example("[mirror]\n= x\n  y\n")
@example("[mirror]\ndirectory = /d\n  \n[DEFAULT]\n")
@example("[DEFAULT]\n[mirror]\ndirectory=%(directory)s")
def test_any_text_is_read_or_refused(text):
    try:
        loaded = parse_config(text, "m.conf")
    except ConfigError:
        return
    assert loaded.settings.directory.is_absolute()


@hypothesis.settings(deadline=None)  # the first file without `master` imports for half a second
@given(_FILES)
def test_lines_are_found_for_exactly_the_keys_that_configparser_finds(text):
    plain = bandersnatch_parser()
    try:
        plain.read_file(io.StringIO(text, newline=None))
        ini = read_ini(text, "m.conf")
    except (configparser.Error, ConfigError):
        return
    keys = {(section, key) for section in plain.sections() for key in plain._sections[section]}
    keys |= {("DEFAULT", key) for key in plain.defaults()}
    values = {
        where: plain.defaults()[where[1]] if where[0] == "DEFAULT" else plain._sections[where[0]][where[1]]
        for where in keys
    }

    assert ini.lines.keys() == keys
    assert {section for section in ini.sections if section != "DEFAULT"} == set(plain.sections())
    for where, value in values.items():
        assert len(value.split("\n")) <= len(ini.lines[where])


@pytest.mark.parametrize("section", ["Plugins", "plugin", "plugins_", "PLUGINS"])
def test_a_misspelt_plugins_section_is_refused(section):
    """It would switch every filter off, and a typing error must not mean a full mirror."""
    text = f"[mirror]\ndirectory = /srv/pypi\nmaster = https://example.org\n[{section}]\nenabled =\n    allowlist_project\n"
    with pytest.raises(
        ConfigError, match=rf"\[{section}\] unknown section; did you mean \[plugins\]"
    ) as refused:
        parse_config(text, "file.conf")
    assert refused.value.line == 4
