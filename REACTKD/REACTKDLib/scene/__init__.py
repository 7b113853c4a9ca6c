"""Conversion between MRML nodes and core objects: everything that depends on the scene, and nothing on widgets."""
