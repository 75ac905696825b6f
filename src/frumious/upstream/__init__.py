"""The index we copy: `base` is the port, `http` the one HTTP client, `simple_api` its dialects."""
