"""The command line: the same engine for people who live in files; see app.py."""
