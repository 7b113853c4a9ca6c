"""DICOM: reading of series and segmentations, SUV by the rules of QIBA, and results as SR and SEG."""
