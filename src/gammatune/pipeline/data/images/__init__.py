"""Images in files: found, labelled, brought to one shape, read by several threads; nothing that trains comes in."""
