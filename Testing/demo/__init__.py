"""The demo: a case loaded from files and graded in a Slicer scene, and the files it writes."""
