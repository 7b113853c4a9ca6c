"""Layouts of folders that are recognized, a file each; one that lies here is found (see `cohorts.layout.Layout`)."""
