"""The pages as a site: what `make docs` builds."""
