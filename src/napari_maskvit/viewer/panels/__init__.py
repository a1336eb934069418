"""One panel a step of the journey; each only shows what the session holds."""
