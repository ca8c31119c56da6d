"""Stores: rule 30."""

from mutants.mutant import Mutant

SQLITE = "singleton_jobs/locks/sqlite.py"
MEMORY = "singleton_jobs/locks/memory.py"
SWAPPING = "contract/test_swapping.py"
FILE = "contract/test_sqlite_file.py"
KEYED = "contract/test_keyed.py"

MUTANTS = [
    Mutant(
        30,
        "sqlite-version-reused",
        "the version counter starts anew when a row is deleted",
        SQLITE,
        '"INSERT OR REPLACE INTO lease SELECT ?, ?, newest, ?, ?, ? FROM version",',
        '"INSERT OR REPLACE INTO lease SELECT ?, ?, (SELECT COALESCE(MAX(version), 0) + 1 FROM lease), ?, ?, ?",',
        (SWAPPING,),
    ),
    Mutant(
        30,
        "sqlite-any-version",
        "a SQLite swap replaces whatever version is there",
        SQLITE,
        '"SELECT body FROM lease WHERE name = ? AND uid = ? AND version = ?",',
        '"SELECT body FROM lease WHERE name = ? AND uid = ? AND version >= ?",',
        (SWAPPING,),
    ),
    Mutant(
        30,
        "memory-any-version",
        "a swap in memory replaces whatever version is there",
        MEMORY,
        "if row is None or (row[0], row[1]) != (replaces.uid, replaces.version):",
        "if row is None or row[0] != replaces.uid:",
        (SWAPPING,),
    ),
    Mutant(
        30,
        "memory-any-object",
        "a swap in memory replaces a lease that was made anew",
        MEMORY,
        "if row is None or (row[0], row[1]) != (replaces.uid, replaces.version):",
        "if row is None or row[1] < replaces.version:",
        (SWAPPING,),
    ),
    Mutant(
        30,
        "sqlite-reads-before-it-locks",
        "a SQLite swap compares before it keeps others from writing",
        SQLITE,
        'connection.execute("BEGIN IMMEDIATE")',
        'connection.execute("BEGIN")',
        (FILE,),
    ),
    Mutant(
        30,
        "sqlite-not-on-disk",
        "a SQLite write is acknowledged before it is on the disk",
        SQLITE,
        "PRAGMA synchronous = FULL",
        "PRAGMA synchronous = OFF",
        (FILE,),
    ),
    Mutant(
        30,
        "sqlite-deletes-any-version",
        "who deletes from a SQLite file deletes what a taker has written",
        SQLITE,
        '"DELETE FROM lease WHERE name = ? AND uid = ? AND version = ?",',
        '"DELETE FROM lease WHERE name = ? AND uid = ? AND version >= ?",',
        (KEYED,),
    ),
    Mutant(
        30,
        "sqlite-deletion-is-no-version",
        "those who watch a SQLite file are told of a deletion as of something old",
        SQLITE,
        """                connection.execute("UPDATE version SET newest = newest + 1")
                deleted =""",
        "                deleted =",
        (KEYED,),
    ),
    Mutant(
        30,
        "memory-deletes-any-version",
        "who deletes from memory deletes what a taker has written",
        MEMORY,
        "            self._replaced(replaces)\n            self._space.drop(self.lease)",
        "            self._space.drop(self.lease)",
        (KEYED,),
    ),
    Mutant(
        30,
        "two-keys-of-one-name",
        "a key that looks like the hash of another has its lease",
        "singleton_jobs/keys.py",
        "if is_subdomain(name) and not _HASHED.fullmatch(text):",
        "if is_subdomain(name):",
        ("unit/test_keys.py",),
    ),
]
