"""Small pieces of window that the panels share."""
