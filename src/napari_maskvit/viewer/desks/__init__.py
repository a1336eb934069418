"""One desk a subject: each holds what the session knows of it, and does what is asked of it."""
