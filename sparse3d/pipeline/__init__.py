"""From a folder of photos to a run folder."""
