"""Nothing secret is stored, logged, exported or shown."""
