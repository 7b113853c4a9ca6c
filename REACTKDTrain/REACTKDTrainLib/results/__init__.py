"""Writers of figures, tables and pages, one for each format."""
