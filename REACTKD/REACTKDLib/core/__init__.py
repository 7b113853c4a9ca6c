"""The science, without Slicer: volumes, masks, regions, the student network, its explanation and its report."""
