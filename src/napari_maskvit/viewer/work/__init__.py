"""Work beside the window, in threads of its own."""
