"""The commands: run directories, progress, files; around the pure core."""
