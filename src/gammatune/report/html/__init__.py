"""A run as one HTML page, and several side by side; nothing drawn on a terminal comes in."""
