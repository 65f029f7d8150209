"""gammatune."""
