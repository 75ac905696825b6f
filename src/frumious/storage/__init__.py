"""Objects by key; knows nothing of packages. `base` is the port, the rest fill it or wrap it."""
