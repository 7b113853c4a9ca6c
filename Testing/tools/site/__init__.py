"""The documentation as a website, built by `make docs`."""
