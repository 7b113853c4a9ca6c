"""A Slicer without an application: the real MRML libraries of slicer-core, booted in plain Python for tests and the demo."""
