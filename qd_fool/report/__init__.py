"""Pages and pictures of a run, made from its directory only."""
