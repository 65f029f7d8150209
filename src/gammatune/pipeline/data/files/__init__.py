"""Tables from files: found, opened, and given their shape; nothing is known here of targets or learning."""
