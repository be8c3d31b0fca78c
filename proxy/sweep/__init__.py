"""Reading on purpose: every entity that the id map knows, and stored diffs again."""
