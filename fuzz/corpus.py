"""What fuzzing starts from: inputs of each kind, taken from what the tests use, and the words that inputs are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from frumious.config import default_config_text
from frumious.config.options import KEYS
from frumious.model.project import Digest, ListedProject
from frumious.pages import simple_html, simple_json
from pages.page_values import WHEEL, our_file, our_page, sha256, their_file, their_page

_FILES = (
    our_file(),
    our_file("six-1.0+a b.tar.gz", yanked='"<b>\n', requires_python=">=3 & <4", core_metadata=True),
    our_file("six-1!2.zip", digest=Digest("md5", "0" * 32), core_metadata=Digest("sha256", sha256("m"))),
)
_LIST = (ListedProject("Six", 7), ListedProject("Foo.Bar", 9))
_LEGACY = {
    "info": {"name": "six", "version": "1.0", "requires_python": ">=3"},
    "last_serial": 7,
    "releases": {
        "1.0": [
            {
                "filename": "six-1.0.tar.gz",
                "digests": {"sha256": sha256("a"), "md5": "0" * 32},
                "size": 11,
                "upload_time": "2021-05-05T14:18:17",
                "upload_time_iso_8601": "2021-05-05T14:18:17.237400Z",
                "yanked": True,
                "yanked_reason": "bad",
                "url": "https://files.example.org/packages/six-1.0.tar.gz",
            }
        ],
        "2.0": None,
    },
    "urls": [{"filename": []}],
}
_FILTERS = """[allowlist]
packages = six>=1,<2 ; python_version < "3"
 foo[extra]
[blocklist]
packages = six==1.0
[filter_regex]
packages = .+-evil$
releases = .+rc\\d$
[filter_prerelease]
packages = six
[latest_release]
keep = 3
sort_by = time
[release_file_older_than]
age = 7d
[exclude_platform]
platforms = windows py2
[regex_project_metadata]
any:info.classifiers = .*Python.*
[regex_release_file_metadata]
any:release_file.filename = .*\\.whl
[version_range_project_metadata]
info.requires_python = >=3
[version_range_release_file_metadata]
any:release_file.requires_python = >=3
[size_project_metadata]
max_package_size = 1.5 GiB
[versions_count_project_metadata]
min_versions = 1
max_versions = 100
[size_release_file]
max_size = 1G
except = six
[wheel_tags]
python = 3.11-3.13, 3.13t
implementation = cpython
platforms = linux-x86_64 macosx_11_0_arm64
sdist = when-no-wheel-fits
"""
_REQUIREMENTS = """# -*- coding: utf-8 -*-
six==1.0 \\
    --hash=sha256:00  # why
Foo.Bar[extra]>=1,!=1.5; python_version < "3" and (sys_platform == 'linux' or extra == "a")
${NAME}~=1.0
-e git+https://me:pw@example.org/x.git#egg=x
-r other.txt
--constraint="c.txt"
./local.whl
six @ https://example.org/six.whl
"""
_MARKDOWN = """# Six

[![Build](https://img.example.org/b.svg)](https://ci.example.org/) ![x](docs/x.png) <img src="https://img.example.org/y.png">

| a | b |
|---|:-:|
| `1` | [two](https://example.org/ "title") |

- [x] ~~done~~[^1]

```python
import six
```

<details id="more"><summary>More</summary><p align="center">x</p></details>

[^1]: The note.
"""
_REST = """Six
===

.. image:: https://img.example.org/b.svg
   :target: https://ci.example.org/

Text ``code`` `link <https://example.org/>`_ [1]_ |x|

.. |x| replace:: y
.. note:: Careful.
.. code-block:: python

   import six

.. [1] The note.
"""


def seeds() -> Mapping[str, Sequence[bytes]]:
    """Return inputs by target, each of which its reader can use."""
    ours_json, ours_html = (
        simple_json.render_project_detail(our_page(*_FILES)),
        simple_html.render_project_detail(our_page(*_FILES, status=None), "Six"),
    )
    bandersnatch_html = ours_html.replace(b"<!DOCTYPE html>\n", b"").rstrip(b"\n")
    return {
        "configuration": [
            default_config_text("https://index.example.org").encode(),
            (
                b"\xef\xbb\xbf[DEFAULT]\nworkers = 3\n[mirror]\ndirectory = /srv\nmaster = https://me:p%%40@example.org/\n"
                b"diff-file = {{mirror_directory}}/diff\n[plugins]\nenabled =\n  allowlist_project\n; comment\n"
                b"[allowlist]\npackages =\n  six\n\n  %(workers)s\n"
            ),
        ],
        "description": [_MARKDOWN.encode(), _REST.encode()],
        "filename": [f"{name}\n1.0\n1.1".encode() for name in _NAMES],
        "filters": [_FILTERS.encode()],
        "html-list": [b"".join(simple_html.render_project_list(_LIST, 9))],
        "html-page": [ours_html, bandersnatch_html],
        "json-list": [b"".join(simple_json.render_project_list(_LIST, 9))],
        "json-page": [
            ours_json,
            their_page(their_file(), their_file("six-1.0.zip", yanked="bad"), versions=["1.0"]),
        ],
        "legacy-document": [json.dumps(_LEGACY).encode()],
        "name": [b"six", b"Foo.Bar", b"0-._.-._.-0"],
        "place": [f"https://files.example.org/packages/aa/bb/{name}\n{name}".encode() for name in _NAMES],
        "question": [b"six", b"Foo.Bar == 1.0", *(name.encode() for name in _NAMES)],
        "requirements": [_REQUIREMENTS.encode(), _REQUIREMENTS.encode("utf-16")],
        "stored-page": [ours_json, ours_html, bandersnatch_html],
    }


_NAMES = (
    WHEEL,
    "six-1.0.linux-x86_64.tar.gz",
    "six-1.0-py2.7-win32.egg",
    "six-1.0.win32-py2.7.exe",
    "six_1.0-1.rpm",
)

WORDS: Mapping[str, Sequence[str]] = {
    "configuration": sorted(
        {
            *(f"[{section}]" for section in KEYS),
            *(f"{key} = " for keys in KEYS.values() for key in keys or ()),
            *(
                "[DEFAULT]",
                "\n  ",
                "\r\n",
                "%(",
                ")s",
                "%%",
                "{{mirror_",
                "}}",
                "\ufeff",
                "\0",
                "true",
                "1K",
                "10%",
            ),
            *(
                "https://",
                "http://[",
                "socks5://",
                "@",
                "'",
                '"',
                " #",
                " ;",
                "\x1c",
                "\x85",
                "all",
                "999999999",
            ),
        }
    ),
    "description": [
        *(
            "<a href='",
            "<img src='",
            "' onerror='",
            "' id='here'>",
            "<p class='",
            "<table>",
            "<td>",
            "</table>",
            "</p>",
        ),
        *(
            "<script>",
            "</script>",
            "<style>",
            "<svg>",
            "<math>",
            "<!--",
            "-->",
            "<div>",
            "</div>",
            "<li>",
            "<b>",
            "</b>",
        ),
        *(
            "javascript:",
            "data:",
            "https://",
            "//",
            "&colon;",
            "&#x3a;",
            "&lt;",
            "&quot;",
            "\\",
            '"',
            "'",
            "\0",
        ),
        *(
            "\n",
            "\n\n",
            "    ",
            "- ",
            "> ",
            "# ",
            "```",
            "`",
            "**",
            "_",
            "[",
            "](",
            ")",
            "![",
            "|",
            "|-|",
            "[^1]",
            "[^1]: ",
        ),
        *(
            "::",
            "\n\n.. ",
            "image:: ",
            "raw:: html",
            "\n   :alt: ",
            "\n===\n",
            "`x <",
            ">`_",
            "|x|",
            "_ ",
            ":math:`",
        ),
    ],
    "filters": [
        "%",
        ">=",
        "<=",
        "==",
        "===",
        "; ",
        "python_version",
        "(((",
        "a{1,2}",
        "(?P<n>",
        "[a-",
        "\\",
        "any:",
        "3.13t",
    ],
    "html-page": [
        *(
            "<a href='",
            "</a>",
            "<base href='",
            '<meta name="pypi:',
            "content='",
            "data-yanked",
            "data-core-metadata",
        ),
        *(
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<script>",
            "</script>",
            "<?",
            "&#0;",
            "&lt;",
            "&#x",
            "javascript:",
            "//[",
        ),
        *(
            "#sha256=",
            "../",
            "%2e%2e",
            "%2f",
            "<!--SERIAL 7-->",
            "<!DOCTYPE",
            "</head>",
            "<body",
            "'",
            '"',
            "=",
        ),
    ],
    "json-page": [
        *(
            '"files":[',
            '"meta":{',
            '"api-version":"1.',
            '"_last-serial":',
            '"hashes":{',
            '"yanked":',
            '"core-metadata":',
        ),
        *(
            '"project-status":',
            '"versions":[',
            '"provenance":"https://',
            '"upload-time":"',
            "\\ud800",
            "\\u0000",
            "null",
        ),
        *("1e400", "-0", "[[[[", "../", "%2e%2e", "javascript:", "<script>", '"dist-info-metadata":'),
    ],
    "filename": [
        "-",
        "_",
        ".",
        "1.0",
        ".linux-",
        ".tar.gz",
        ".whl",
        ".egg",
        ".rpm",
        "-py3.",
        "+",
        "!",
        "win32",
        "rc1",
    ],
    "place": [
        "/packages/",
        "%2f",
        "%2e",
        "..",
        "//",
        "\\",
        "%00",
        "?",
        "#",
        ";",
        "http://[",
        "é",
        "%ff",
        ":",
    ],
    "requirements": [
        "-r ",
        "-c ",
        "--hash=",
        "-e ",
        "${NAME}",
        "\\\n",
        " #",
        "; ",
        "((",
        "@ ",
        "git+",
        "coding: ",
        "[",
        "]",
    ],
}
"""What inputs are made of, by target; a target that is not named takes those of its kind."""


def words_of(target: str) -> Sequence[str]:
    """Return the words for a target."""
    alike = {
        "html-list": "html-page",
        "stored-page": "html-page",
        "json-list": "json-page",
        "legacy-document": "json-page",
        "name": "filename",
        "question": "filename",
    }
    return WORDS[alike.get(target, target)]
