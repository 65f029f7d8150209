"""A training that can be captured, put back and gone on with; no policy, journal or data set comes in."""
