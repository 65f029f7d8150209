"""The methods that are compared; each module has a dictionary METHODS."""
