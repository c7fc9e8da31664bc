"""A batch cut into chunks, spread over devices, gathered again."""
