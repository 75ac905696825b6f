"""The mirror over HTTP: `http` says what a request and an answer are, `build` which room answers what."""
