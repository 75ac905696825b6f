"""Pages to render and to read, for the tests beside this file: plain examples, and hypothesis strategies."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

from hypothesis import strategies as st

from frumious.model.layout import content_key, href, is_safe_filename
from frumious.model.names import normalize
from frumious.model.project import Digest, PageFile, ProjectPage, ProjectStatus

SIX = normalize("six")
URL = "https://index.example.org/simple/six/"
FILES = "https://files.example.org"
WHEEL = "six-1.16.0-py2.py3-none-any.whl"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def our_file(filename: str = WHEEL, **said: Any) -> PageFile:
    """A file as we publish it, with every fact that the common case has."""
    facts = {
        "href": href(content_key(sha256("place " + filename), filename)),
        "digest": Digest("sha256", sha256(filename)),
        "size": 11053,
        "upload_time": "2021-05-05T14:18:17.237400Z",
    }
    return PageFile(filename, **{**facts, **said})


def our_page(*files: PageFile, **said: Any) -> ProjectPage:
    return ProjectPage(**{"name": SIX, "serial": 10251369, "files": files, "versions": ("1.16.0",), **said})


def their_file(filename: str = WHEEL, **said: Any) -> dict[str, Any]:
    """A file as PyPI's JSON describes it; a keyword with `...` takes the key away."""
    facts = {
        "filename": filename,
        "url": f"{FILES}/packages/d9/5a/{sha256(filename)[:60]}/{filename}",
        "hashes": {"sha256": sha256(filename)},
    }
    facts |= {key.replace("_", "-"): value for key, value in said.items()}
    return {key: value for key, value in facts.items() if value is not ...}


def their_page(*files: Any, **said: Any) -> bytes:
    page: dict[str, Any] = {"meta": {"api-version": "1.4"}, "name": "six", "files": list(files)}
    page |= {key.replace("_", "-"): value for key, value in said.items()}
    return json.dumps({key: value for key, value in page.items() if value is not ...}).encode()


@dataclass
class Seen:
    """What a browser would see of a page, by Python's own HTML parser."""

    doctype: str | None = None
    anchors: list[tuple[dict[str, str | None], str]] = field(default_factory=list)
    metas: list[dict[str, str | None]] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)

    def meta(self, name: str) -> list[str | None]:
        return [meta["content"] for meta in self.metas if meta.get("name") == name]


def look(body: bytes) -> Seen:
    seen = Seen()

    class Looker(HTMLParser):
        inside = ""

        def handle_decl(self, decl: str) -> None:
            seen.doctype = decl

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert len(dict(attrs)) == len(attrs), "an attribute stands twice"
            if tag == "meta":
                seen.metas.append(dict(attrs))
                return
            self.inside = tag
            if tag == "a":
                seen.anchors.append((dict(attrs), ""))

        def handle_endtag(self, _tag: str) -> None:
            self.inside = ""

        def handle_data(self, data: str) -> None:
            if self.inside == "a":
                attributes, text = seen.anchors.pop()
                seen.anchors.append((attributes, text + data))
            elif self.inside:
                seen.texts[self.inside] = seen.texts.get(self.inside, "") + data

        def handle_comment(self, data: str) -> None:
            seen.comments.append(data)

    looker = Looker()
    looker.feed(body.decode())
    looker.close()
    return seen


any_text = st.text(st.characters(exclude_categories=()), max_size=30)
"""Anything Python calls a text, lone surrogates and control characters included."""
plain_text = st.text(
    st.one_of(
        st.sampled_from("\t\n\r\"'&<>;#=/ é\U0001f600"), st.characters(exclude_categories=("Cc", "Cs"))
    ),
    max_size=30,
)
"""Text that both forms of a page can carry."""
filenames = st.text(
    st.one_of(
        st.sampled_from("abz09.-_+!~%#?&<>\"';:@()$ é"), st.characters(exclude_categories=("Cc", "Cs"))
    ),
    min_size=1,
    max_size=60,
).filter(is_safe_filename)
hex256 = st.text("0123456789abcdef", min_size=64, max_size=64)
digests = st.one_of(
    hex256.map(lambda text: Digest("sha256", text)),
    hex256.map(lambda text: Digest("sha512", text * 2)),
    hex256.map(lambda text: Digest("md5", text[:32])),
)
said_text = plain_text.filter(lambda text: bool(text.strip()))
provenances = st.integers(0, 9).map(lambda n: f"https://index.example.org/integrity/six/{n}/provenance")


def page_files(text: st.SearchStrategy[str]) -> st.SearchStrategy[PageFile]:
    def build(filename: str, place: str, **facts: Any) -> PageFile:
        return PageFile(filename, href(content_key(place, filename)), **facts)

    return st.builds(
        build,
        filenames,
        hex256,
        digest=st.none() | digests,
        size=st.none() | st.integers(0, 2**63 - 1),
        requires_python=st.none() | text.filter(lambda said: bool(said.strip())),
        upload_time=st.none() | st.datetimes().map(lambda when: when.isoformat() + "Z"),
        yanked=st.none() | text,
        core_metadata=st.none() | st.booleans() | digests,
        provenance=st.none() | provenances,
    )


def project_pages(text: st.SearchStrategy[str] = plain_text) -> st.SearchStrategy[ProjectPage]:
    return st.builds(
        ProjectPage,
        name=st.just(SIX),
        serial=st.integers(0, 2**63 - 1),
        files=st.lists(page_files(text), max_size=5, unique_by=lambda file: file.filename).map(tuple),
        versions=st.lists(text, max_size=4).map(tuple),
        status=st.none() | st.sampled_from(ProjectStatus),
        status_reason=st.none() | text,
    )
