"""MRML nodes to core objects and back: everything that knows of the scene, and nothing that knows of widgets."""
