"""What is kept on disk: the whole state, work that nobody has saved yet, files for others."""
