"""The catalog's tables, as numbered migrations: number n brings a database from version n-1 to n.

A migration that has landed is never edited. `PRAGMA user_version` holds the number.
"""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

    CREATE TABLE project (
        id            INTEGER PRIMARY KEY,
        name          TEXT NOT NULL UNIQUE,       -- normalized
        display       TEXT NOT NULL,
        origin        INTEGER NOT NULL DEFAULT 0, -- one upstream for now
        serial        INTEGER,                    -- upstream's, of the published page
        published     INTEGER,                    -- ours; NULL while there is no page
        listed        INTEGER NOT NULL DEFAULT 0,
        etag          TEXT,
        body_digest   BLOB,
        page_digest   BLOB,
        page_modified INTEGER NOT NULL DEFAULT 0,
        checked_at    INTEGER,
        due_at        INTEGER,                    -- earliest of re-check and retry
        attempts      INTEGER NOT NULL DEFAULT 0,
        failed_since  INTEGER,
        retry_at      INTEGER NOT NULL DEFAULT 0,
        wanted        INTEGER,
        error_kind    TEXT,
        error         TEXT,
        stuck_serial  INTEGER,
        stuck_since   INTEGER
    );
    CREATE INDEX project_due ON project (due_at) WHERE due_at IS NOT NULL;
    CREATE INDEX project_owed ON project (name) WHERE attempts > 0;
    CREATE INDEX project_published ON project (published) WHERE published IS NOT NULL;

    -- Upstream's page as it came, zlib; the published one (design.md, section 7).
    CREATE TABLE revision (
        project    INTEGER PRIMARY KEY REFERENCES project (id),
        form       TEXT NOT NULL,
        url        TEXT NOT NULL,
        body       BLOB NOT NULL,
        fetched_at INTEGER NOT NULL
    );

    CREATE TABLE object (
        id          INTEGER PRIMARY KEY,
        key         TEXT NOT NULL UNIQUE,
        sha256      BLOB NOT NULL,
        size        INTEGER NOT NULL,
        state       TEXT NOT NULL DEFAULT 'held', -- held, withdrawn, trashed
        verified_at INTEGER NOT NULL
    );

    CREATE TABLE file (
        project  INTEGER NOT NULL REFERENCES project (id),
        filename TEXT NOT NULL,
        source   TEXT NOT NULL,
        object   INTEGER REFERENCES object (id),
        metadata INTEGER REFERENCES object (id),
        verdict  TEXT NOT NULL DEFAULT 'keep',
        reason   TEXT,
        PRIMARY KEY (project, filename)
    ) WITHOUT ROWID;

    -- Every change of what we publish, in commit order: the feed for search, downstream mirrors, caches.
    CREATE TABLE journal (
        id     INTEGER PRIMARY KEY AUTOINCREMENT,
        name   TEXT NOT NULL,
        action TEXT NOT NULL,
        serial INTEGER NOT NULL,
        at     INTEGER NOT NULL
    );

    CREATE TABLE unsettled (project INTEGER PRIMARY KEY REFERENCES project (id));

    -- The project list as last applied, packed: one row.
    CREATE TABLE applied (
        id      INTEGER PRIMARY KEY CHECK (id = 0),
        names   BLOB NOT NULL,
        serials BLOB NOT NULL
    );

    CREATE TABLE run (
        id        INTEGER PRIMARY KEY,
        command   TEXT NOT NULL,
        started   INTEGER NOT NULL,
        finished  INTEGER NOT NULL,
        exit_code INTEGER NOT NULL,
        summary   TEXT NOT NULL
    );
    """,
    """
    -- Who refers to an object: nobody, and its key is free for other bytes.
    CREATE INDEX file_object ON file (object);
    CREATE INDEX file_metadata ON file (metadata) WHERE metadata IS NOT NULL;
    """,
)

VERSION = len(MIGRATIONS)
