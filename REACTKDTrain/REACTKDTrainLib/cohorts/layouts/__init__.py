"""Known folder layouts, one file each; a file in this folder is found (see `cohorts.layout.Layout`)."""
