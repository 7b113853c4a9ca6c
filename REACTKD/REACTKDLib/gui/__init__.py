"""What the user of Slicer touches: widgets to scene and back, questions and messages. No computation."""
