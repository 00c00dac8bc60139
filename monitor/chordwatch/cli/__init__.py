"""The `chords` command."""
