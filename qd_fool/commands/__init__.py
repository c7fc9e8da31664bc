"""One file or folder per `qd-fool` command."""
