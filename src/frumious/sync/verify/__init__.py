"""Compare pages, catalog and bytes; say what is wrong, and mend it where asked (`frumious verify`)."""
