"""A search index for tests: a few projects that everybody knows, among thousands that nobody does."""

import asyncio
import random

from frumious.model.names import normalize
from frumious.search.base import Entry, Query
from frumious.search.tantivy import TantivyIndex

KNOWN = [
    # name, summary, keywords, downloads
    ("requests", "Python HTTP for Humans.", "", 900_000),
    ("requests-oauthlib", "OAuthlib authentication support for Requests.", "", 200_000),
    ("requests-mock", "Mock out responses from the requests package", "", 60_000),
    ("requests-toolbelt", "A utility belt for advanced users of python-requests", "", 150_000),
    ("urllib3", "HTTP library with thread-safe connection pooling, file post, and more.", "", 950_000),
    ("httpx", "The next generation HTTP client.", "", 400_000),
    ("aiohttp", "Async http client/server framework (asyncio)", "", 500_000),
    ("httpcore", "A minimal low-level HTTP client.", "", 300_000),
    ("numpy", "Fundamental package for array computing in Python", "", 800_000),
    ("numba", "compiling Python code using LLVM", "", 90_000),
    ("scipy", "Fundamental algorithms for scientific computing in Python", "", 400_000),
    ("pandas", "Powerful data structures for data analysis, time series, and statistics", "", 700_000),
    ("pandas-stubs", "Type annotations for pandas", "", 30_000),
    ("geopandas", "Geographic pandas extensions", "", 20_000),
    ("scikit-learn", "A set of python modules for machine learning and data mining", "", 300_000),
    ("scikit-image", "Image processing in Python", "", 100_000),
    ("scikit-build", "Improved build system generator for Python C/C++ extensions", "", 9_000),
    ("imbalanced-learn", "Toolbox for imbalanced dataset in machine learning", "", 30_000),
    ("learn2learn", "PyTorch Library for Meta-Learning Research", "", 300),
    ("learning-loop-node", "Python Library for Nodes", "", 20),
    ("tensorflow", "TensorFlow is an open source machine learning framework for everyone.", "", 200_000),
    ("torch", "Tensors and Dynamic neural networks in Python with strong GPU acceleration", "", 400_000),
    ("PyYAML", "YAML parser and emitter for Python", "", 850_000),
    ("ruamel.yaml", "ruamel.yaml is a YAML parser/emitter that supports roundtrip", "", 200_000),
    ("yamllint", "A linter for YAML files.", "", 40_000),
    ("yaml-config", "Configuration from files", "", 15),
    ("beautifulsoup4", "Screen-scraping library", "html,xml,parse,soup", 600_000),
    ("lxml", "Powerful and Pythonic XML processing library", "", 500_000),
    ("Django", "A high-level Python web framework that encourages rapid development", "", 250_000),
    ("djangorestframework", "Web APIs for Django, made easy.", "", 120_000),
    ("django-cors-headers", "Handles the server headers for Cross-Origin Resource Sharing", "", 70_000),
    ("django-filter", "A reusable application for filtering querysets dynamically.", "", 60_000),
    ("Flask", "A simple framework for building complex web applications.", "", 500_000),
    ("Flask-Login", "User authentication and session management for Flask.", "", 60_000),
    ("Flask-SQLAlchemy", "Add SQLAlchemy support to your Flask application.", "", 70_000),
    ("SQLAlchemy", "Database Abstraction Library", "", 500_000),
    ("psycopg2", "Python-PostgreSQL Database Adapter", "", 150_000),
    ("psycopg2-binary", "Python-PostgreSQL Database Adapter", "", 250_000),
    ("asyncpg", "An asyncio PostgreSQL driver", "", 130_000),
    ("boto3", "The AWS SDK for Python", "", 990_000),
    ("botocore", "Low-level, data-driven core of boto 3.", "", 980_000),
    ("cryptography", "cryptographic recipes and primitives for developers", "", 700_000),
    ("python-dateutil", "Extensions to the standard Python datetime module", "", 850_000),
    (
        "python-dotenv",
        "Read key-value pairs from a .env file and set them as environment variables",
        "",
        500_000,
    ),
    ("pytest", "pytest: simple powerful testing with Python", "test,unittest", 500_000),
    ("pytest-cov", "Pytest plugin for measuring coverage.", "", 200_000),
    ("pytest-xdist", "pytest xdist plugin for distributed testing", "", 120_000),
    ("setuptools", "Easily download, build, install, upgrade, and uninstall Python packages", "", 900_000),
    ("virtualenv", "Virtual Python Environment builder", "", 400_000),
    ("matplotlib", "Python plotting package", "", 300_000),
    ("seaborn", "Statistical data visualization", "", 80_000),
    ("zope.interface", "Interfaces for Python", "", 80_000),
    ("backports.zoneinfo", "Backport of the standard library zoneinfo module", "", 60_000),
    ("typing-extensions", "Backported and Experimental Type Hints for Python 3.8+", "", 950_000),
    ("jieba", "Chinese Words Segmentation Utilities", "", 20_000),
    ("pypinyin", "汉字拼音转换模块/工具", "", 10_000),
    ("wangluo", "高性能异步网络框架", "", 30),
    ("janome", "Japanese morphological analysis engine, 日本語形態素解析", "", 4_000),
    ("konlpy", "한국어 자연어 처리 Python package for Korean NLP", "", 6_000),
    ("paho-mqtt", "MQTT version 5.0 client class", "", 90_000),
    ("opencv-python", "Wrapper package for OpenCV python bindings.", "", 250_000),
    ("Pillow", "Python Imaging Library (Fork)", "Imaging", 600_000),
]
_PARTS = [
    *("api", "client", "data", "tool", "flask", "django", "http", "async", "test", "bot"),
    *("core", "json", "web", "db", "simple", "easy", "fast", "my", "kit", "sync"),
]
_SYLLABLES = [a + b for a in "bdfghklmnprstvz" for b in ("a", "e", "i", "o", "u", "ar", "in", "os")]


def known_entries():
    """Return what everybody knows."""
    return [
        Entry(
            normalize(name),
            name,
            "1.0",
            summary,
            keywords=keywords.split(",") if keywords else (),
            downloads=downloads,
        )
        for name, summary, keywords, downloads in KNOWN
    ]


def unknown_entries(count):
    """Return projects that nobody knows, with names and summaries like those that everybody does."""
    pick = random.Random(6)  # noqa: S311 - the same ones each time

    def word():
        return "".join(pick.choices(_SYLLABLES, k=pick.randint(2, 3)))

    made = {}
    while len(made) < count:
        name = normalize(
            "-".join(pick.choice([pick.choice(_PARTS), word()]) for _ in range(pick.randint(1, 3)))
        )
        summary = f"A {pick.choice(_PARTS)} {word()} for {pick.choice(_PARTS)} {word()}"
        made.setdefault(name, Entry(name, name, "0.1", summary, downloads=pick.randint(0, 200)))
    return list(made.values())


def make_index(directory, entries, position=1):
    """Return an index of these projects."""
    index = TantivyIndex(directory)

    async def batches():
        yield list(entries)

    asyncio.run(index.rebuild(batches(), position))
    return index


def entry(name, summary="", **facts):
    """Return a project of which little matters."""
    return Entry(normalize(name), name, facts.pop("version", "1.0"), summary, **facts)


def search(index, words, **facts):
    """Return the results of one query."""
    return asyncio.run(index.search(Query(words, **facts)))


def names(index, words, **facts):
    """Return what one query finds, as upstream spells it."""
    return [hit.display for hit in search(index, words, **facts).hits]
