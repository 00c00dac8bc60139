"""Where records become chords: one Redis script applies a batch and keeps indexes and counters in the same call."""
