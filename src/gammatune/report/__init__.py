"""What people see of a run: a live display, plain lines, the final screen. All of it is read off events."""
