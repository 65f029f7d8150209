"""What a fork would miss: all that some objects hold; no training imports it."""
