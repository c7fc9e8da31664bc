"""Weight files of every format, read into `{name: array}`."""
