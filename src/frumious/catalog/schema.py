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
    """
    ALTER TABLE project ADD COLUMN until INTEGER;     -- when time alone turns a verdict of the filters
    ALTER TABLE project ADD COLUMN absent_at INTEGER; -- since when upstream has no such page
    ALTER TABLE project ADD COLUMN declined TEXT;     -- the verdict for which it is not published
    ALTER TABLE project ADD COLUMN leaving TEXT;      -- why: off the list, its page is about to go

    CREATE INDEX project_leaving ON project (name) WHERE leaving IS NOT NULL;

    -- Upstream's legacy JSON, zlib; only where a filter reads it.
    CREATE TABLE document (
        project INTEGER PRIMARY KEY REFERENCES project (id),
        body    BLOB NOT NULL
    );

    ALTER TABLE object ADD COLUMN digest TEXT;         -- another digest of the same bytes: `md5=…`
    ALTER TABLE object ADD COLUMN released_at INTEGER; -- since when no page refers to it
    ALTER TABLE object ADD COLUMN reason TEXT;         -- deleted (upstream) or dropped (by a filter)
    ALTER TABLE object ADD COLUMN released_by TEXT;    -- the project that referred to it last
    CREATE INDEX object_released ON object (released_at) WHERE released_at IS NOT NULL;
    UPDATE object SET released_at = verified_at, reason = 'deleted' WHERE
        NOT EXISTS (SELECT 1 FROM file f WHERE f.object = object.id)
        AND NOT EXISTS (SELECT 1 FROM file f WHERE f.metadata = object.id);

    -- Bytes that left `web/` and can still be had back.
    CREATE TABLE trash (
        id      INTEGER PRIMARY KEY,
        place   TEXT NOT NULL UNIQUE,
        key     TEXT NOT NULL,
        sha256  BLOB NOT NULL,
        size    INTEGER NOT NULL,
        project TEXT,
        reason  TEXT NOT NULL,
        at      INTEGER NOT NULL
    );
    CREATE INDEX trash_key ON trash (key);
    CREATE INDEX trash_at ON trash (at);

    -- Removals that the guard held back, for the operator to confirm: one row each plan.
    CREATE TABLE removal_plan (
        id   TEXT PRIMARY KEY,
        at   INTEGER NOT NULL,
        body TEXT NOT NULL
    ) WITHOUT ROWID;
    """,
    """
    UPDATE trash SET project = '' WHERE project IS NULL;
    ALTER TABLE trash ADD COLUMN released_at INTEGER; -- when the page that listed it last was replaced
    CREATE INDEX trash_project ON trash (project, key, place);
    CREATE INDEX object_released_by ON object (released_by, released_at) WHERE released_by IS NOT NULL;

    -- Upstream's page as it was until something of it was released, zlib: for what is had back out of the trash.
    CREATE TABLE past_revision (
        project TEXT NOT NULL,                        -- by name: the project itself may be forgotten
        at      INTEGER NOT NULL,                     -- `released_at` of what it describes
        display TEXT NOT NULL,
        form    TEXT NOT NULL,
        url     TEXT NOT NULL,
        body    BLOB NOT NULL,
        PRIMARY KEY (project, at)
    ) WITHOUT ROWID;

    -- Files that stay although upstream has removed them, or a filter drops them.
    CREATE TABLE pin (
        project   TEXT NOT NULL,
        filename  TEXT NOT NULL,
        entry     TEXT NOT NULL,                      -- what upstream said of it, JSON
        at        INTEGER NOT NULL,
        lifted_at INTEGER,                            -- no pin any more; what it says may be wanted again
        PRIMARY KEY (project, filename)
    ) WITHOUT ROWID;

    -- Projects that the operator has deleted for good.
    CREATE TABLE kept_out (name TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
    """,
    """
    -- What there is, added up: to count 5 million objects takes a second, and ten from a cold disk. The triggers cost
    -- 2 microseconds for each object that comes.
    CREATE TABLE total (
        id       INTEGER PRIMARY KEY CHECK (id = 0),
        projects INTEGER NOT NULL,                    -- published
        files    INTEGER NOT NULL,                    -- objects without core metadata
        bytes    INTEGER NOT NULL                     -- of all objects
    );
    INSERT INTO total VALUES (
        0,
        (SELECT count(*) FROM project WHERE published IS NOT NULL),
        (SELECT count(*) FROM object WHERE key NOT LIKE '%.metadata'),
        (SELECT coalesce(sum(size), 0) FROM object)
    );
    CREATE TRIGGER project_comes AFTER INSERT ON project WHEN new.published IS NOT NULL BEGIN
        UPDATE total SET projects = projects + 1;
    END;
    CREATE TRIGGER project_goes AFTER DELETE ON project WHEN old.published IS NOT NULL BEGIN
        UPDATE total SET projects = projects - 1;
    END;
    CREATE TRIGGER project_changes AFTER UPDATE OF published ON project
    WHEN (new.published IS NULL) <> (old.published IS NULL) BEGIN
        UPDATE total SET projects = projects + iif(new.published IS NULL, -1, 1);
    END;
    CREATE TRIGGER object_comes AFTER INSERT ON object BEGIN
        UPDATE total SET files = files + (new.key NOT LIKE '%.metadata'), bytes = bytes + new.size;
    END;
    CREATE TRIGGER object_goes AFTER DELETE ON object BEGIN
        UPDATE total SET files = files - (old.key NOT LIKE '%.metadata'), bytes = bytes - old.size;
    END;
    CREATE TRIGGER object_changes AFTER UPDATE OF size ON object WHEN new.size <> old.size BEGIN
        UPDATE total SET bytes = bytes + new.size - old.size;
    END;

    CREATE INDEX project_until ON project (until) WHERE until IS NOT NULL;
    -- As before, with the sizes.
    DROP INDEX trash_at;
    CREATE INDEX trash_at ON trash (at, id, size);
    DROP INDEX object_released;
    CREATE INDEX object_released ON object (released_at, size) WHERE released_at IS NOT NULL;
    """,
    """
    -- What has changed since a serial: other mirrors ask for it.
    CREATE INDEX journal_serial ON journal (serial, id);
    """,
    """
    -- Provenance documents (PEP 740) lie beside files, as core metadata does, and like it are no files of their own.
    ALTER TABLE file ADD COLUMN provenance INTEGER REFERENCES object (id);
    CREATE INDEX file_provenance ON file (provenance) WHERE provenance IS NOT NULL;
    DROP TRIGGER object_comes;
    CREATE TRIGGER object_comes AFTER INSERT ON object BEGIN
        UPDATE total SET
            files = files + (new.key NOT LIKE '%.metadata' AND new.key NOT LIKE '%.provenance'),
            bytes = bytes + new.size;
    END;
    DROP TRIGGER object_goes;
    CREATE TRIGGER object_goes AFTER DELETE ON object BEGIN
        UPDATE total SET
            files = files - (old.key NOT LIKE '%.metadata' AND old.key NOT LIKE '%.provenance'),
            bytes = bytes - old.size;
    END;
    UPDATE total SET files = (
        SELECT count(*) FROM object WHERE key NOT LIKE '%.metadata' AND key NOT LIKE '%.provenance'
    );
    """,
)

VERSION = len(MIGRATIONS)
