"""Images in files: found, labelled, brought to one shape, read by several threads; no data set comes in."""
