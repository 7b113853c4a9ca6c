"""One file for each value of the explanation; see `core.reports.region_value`."""
