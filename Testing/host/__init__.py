"""A Slicer without an application: the MRML libraries of slicer-core, booted in plain Python for tests and demo."""
