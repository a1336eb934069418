"""The corrections of a session, step by step."""
