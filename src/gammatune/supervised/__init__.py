"""`fit` and all that a model with data needs; no file format, net by name or command comes in."""
