"""The web app: the playground, sweeps, the catalogue and more, one page per file, served to a browser nearby."""
