"""Finding projects by words: the port (`base`), how what is typed is read (`text`) and what is found is ordered
(`ranking`), the engine (`tantivy`, over `fields` and `asking`), and what core metadata says (`archives`, `documents`).
"""
