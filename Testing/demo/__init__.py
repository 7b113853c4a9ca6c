"""The demo: a case from files, graded in a Slicer scene, and what it leaves."""
