"""Workers on the nodes of a Ray cluster; imported only for `--ray`."""
