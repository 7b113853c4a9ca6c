"""The explanation values, one file each; see `core.reports.region_value`."""
