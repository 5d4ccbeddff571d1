"""A small numpy ray caster with baked light: makes sample scenes with exact cameras and exact depth."""
