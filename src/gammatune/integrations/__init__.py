"""Other frameworks, a thin file each; nothing below imports them, and no file another's package."""
